package aigateway

import (
	"slices"
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// oneArg returns the option's only argument.
func oneArg(d *caddyfile.Dispenser) (string, error) {
	name := d.Val()
	args := d.RemainingArgs()
	if len(args) != 1 {
		return "", d.Errf("%s takes one value, not %d", name, len(args))
	}
	return args[0], nil
}

// noArgs refuses arguments of an option that takes none.
func noArgs(d *caddyfile.Dispenser) error {
	name := d.Val()
	if args := d.RemainingArgs(); len(args) > 0 {
		return d.Errf("%s takes no value, not %q", name, args[0])
	}
	return nil
}

// oneOf returns the option's only argument, which must be one of the known values.
func oneOf(d *caddyfile.Dispenser, known ...string) (string, error) {
	name := d.Val()
	text, err := oneArg(d)
	if err != nil {
		return "", err
	}
	if !slices.Contains(known, text) {
		return "", unknown(d, "value of "+name, text, known...)
	}
	return text, nil
}

// intArg returns the option's only argument as a number from low to high.
func intArg(d *caddyfile.Dispenser, low, high int) (int, error) {
	name := d.Val()
	text, err := oneArg(d)
	if err != nil {
		return 0, err
	}
	return number(d, name, text, low, high)
}

// number reads text as a number from low to high.
func number(d *caddyfile.Dispenser, name, text string, low, high int) (int, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < low || n > high {
		return 0, d.Errf("%s takes a number from %d to %d, not %q", name, low, high, text)
	}
	return n, nil
}

// timeoutArgs returns the arguments of an option "timeout KIND DURATION".
func timeoutArgs(d *caddyfile.Dispenser, kinds ...string) (kind string, limit caddy.Duration, err error) {
	args := d.RemainingArgs()
	if len(args) != 2 {
		return "", 0, d.Errf("timeout takes a kind and a duration, such as: timeout %s 30s", kinds[0])
	}
	if !slices.Contains(kinds, args[0]) {
		return "", 0, unknown(d, "timeout", args[0], kinds...)
	}
	limit, err = duration(d, args[1])
	return args[0], limit, err
}

// duration reads a positive duration.
func duration(d *caddyfile.Dispenser, text string) (caddy.Duration, error) {
	dur, err := caddy.ParseDuration(text)
	if err != nil || dur <= 0 {
		return 0, d.Errf("%q is not a positive duration such as 30s or 5m", text)
	}
	return caddy.Duration(dur), nil
}
