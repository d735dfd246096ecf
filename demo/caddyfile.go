package demo

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// UnmarshalCaddyfile sets up the transport from tokens. Syntax:
//
//	transport ai_gateway_demo {
//		tokens_per_second <number>
//		delay             <duration>
//	}
func (t *Transport) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the transport's name
	if d.NextArg() {
		return d.ArgErr()
	}
	for d.NextBlock(0) {
		if err := t.unmarshalOption(d); err != nil {
			return err
		}
	}
	return nil
}

// unmarshalOption reads one line of the block.
func (t *Transport) unmarshalOption(d *caddyfile.Dispenser) error {
	option := d.Val()
	var value string
	if !d.AllArgs(&value) {
		return d.ArgErr()
	}
	switch option {
	case "tokens_per_second":
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return d.Errf("tokens_per_second takes a whole number from 1, such as 50, not %q", value)
		}
		t.TokensPerSecond = n
	case "delay":
		delay, err := caddy.ParseDuration(value)
		if err != nil || delay <= 0 {
			return d.Errf("delay takes a duration, such as 5s, not %q", value)
		}
		t.Delay = caddy.Duration(delay)
	default:
		return d.Errf("unknown option %q of transport ai_gateway_demo; known are tokens_per_second and delay", option)
	}
	return nil
}
