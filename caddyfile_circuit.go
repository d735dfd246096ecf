package aigateway

import (
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// circuitOptions are the words of a circuit's block.
var circuitOptions = []string{"failures", "error_rate", "slow", "open_for", "probes"}

// parseCircuit parses the policy of circuits; the cursor is on the word circuit:
//
//	circuit off
//	circuit {
//		failures   <number> [in <duration>]              # default 5 in 3m
//		error_rate <percent> [of <number>] [in <duration>]   # default 50% of 10 in 30s
//		slow       [<percent>] over <duration>           # default off; 80%
//		open_for   <duration> [up to <duration>]         # default 15s up to 10m
//		probes     <number>                              # default 2
//	}
func parseCircuit(d *caddyfile.Dispenser) (*upstream.CircuitPolicy, error) {
	p := &circuitParser{Dispenser: d, policy: new(upstream.CircuitPolicy)}
	args := d.RemainingArgs()
	switch {
	case len(args) > 1, len(args) == 1 && args[0] != "off":
		return nil, d.Errf(`circuit takes a block, or "off", not %q`, strings.Join(args, " "))
	case len(args) == 1:
		p.policy.Off = true
	}
	seen := make(map[string]bool)
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		word := d.Val()
		if p.policy.Off {
			return nil, d.Errf("circuit off takes no block")
		}
		if seen[word] {
			return nil, d.Errf("%s stands twice in this circuit", word)
		}
		seen[word] = true
		if err := p.option(word); err != nil {
			return nil, err
		}
		if err := p.policy.Validate(); err != nil {
			return nil, d.Errf("%s: %v", word, err)
		}
	}
	if !p.policy.Off && len(seen) == 0 {
		return nil, d.Errf(`circuit needs a block with at least one of %s, or "off"`, strings.Join(circuitOptions, ", "))
	}
	return p.policy, nil
}

// circuitParser parses the block of one policy.
type circuitParser struct {
	*caddyfile.Dispenser
	policy *upstream.CircuitPolicy
	// args are what is left of the option's line.
	args []string
}

// option parses one option; the cursor is on its name.
func (p *circuitParser) option(word string) error {
	p.args = p.RemainingArgs()
	switch word {
	case "failures":
		return p.failures()
	case "error_rate":
		return p.errorRate()
	case "slow":
		return p.slow()
	case "open_for":
		return p.openFor()
	case "probes":
		return p.probes()
	default:
		return unknown(p.Dispenser, "circuit option", word, circuitOptions...)
	}
}

func (p *circuitParser) failures() (err error) {
	const usage = "failures takes a number and a duration, such as: failures 5 in 3m"
	if p.policy.Failures, err = p.number("failures", usage, 1000); err != nil {
		return err
	}
	return p.after(usage, clause{"in", &p.policy.FailuresWithin, nil})
}

func (p *circuitParser) errorRate() (err error) {
	const usage = "error_rate takes a percentage, such as: error_rate 50% of 10 in 30s"
	if p.policy.ErrorRate, err = p.percent(usage); err != nil {
		return err
	}
	return p.after(usage, clause{"of", nil, &p.policy.MinAttempts}, clause{"in", &p.policy.Window, nil})
}

func (p *circuitParser) slow() (err error) {
	const usage = "slow takes a percentage and a duration, such as: slow 80% over 30s"
	if len(p.args) > 0 && p.args[0] != "over" {
		if p.policy.SlowRate, err = p.percent(usage); err != nil {
			return err
		}
	}
	if err := p.after(usage, clause{"over", &p.policy.SlowOver, nil}); err != nil {
		return err
	}
	if p.policy.SlowOver == 0 {
		return p.Errf("%s", usage)
	}
	return nil
}

func (p *circuitParser) openFor() (err error) {
	const usage = "open_for takes a duration, such as: open_for 15s up to 10m"
	if len(p.args) == 0 {
		return p.Errf("%s", usage)
	}
	if p.policy.OpenFor, err = duration(p.Dispenser, p.args[0]); err != nil {
		return err
	}
	p.args = p.args[1:]
	if len(p.args) > 1 && p.args[0] == "up" && p.args[1] == "to" {
		p.args = p.args[1:]
	}
	return p.after(usage, clause{"to", &p.policy.OpenForMax, nil})
}

func (p *circuitParser) probes() (err error) {
	const usage = "probes takes a number, such as: probes 2"
	if p.policy.Probes, err = p.number("probes", usage, 100); err != nil {
		return err
	}
	return p.after(usage)
}

// number takes a number from 1 to most off the line.
func (p *circuitParser) number(name, usage string, most int) (int, error) {
	if len(p.args) == 0 {
		return 0, p.Errf("%s", usage)
	}
	text := p.args[0]
	p.args = p.args[1:]
	return number(p.Dispenser, name, text, 1, most)
}

// percent takes a percentage off the line, with or without its sign.
func (p *circuitParser) percent(usage string) (int, error) {
	if len(p.args) == 0 {
		return 0, p.Errf("%s", usage)
	}
	text := p.args[0]
	p.args = p.args[1:]
	n, err := strconv.Atoi(strings.TrimSuffix(text, "%"))
	if err != nil || n < 1 || n > 100 {
		return 0, p.Errf("%q is not a percentage from 1%% to 100%%", text)
	}
	return n, nil
}

// clause is a word with a value behind it, which is a duration or a number.
type clause struct {
	word     string
	duration *caddy.Duration
	number   *int
}

// after takes the clauses off the line, in this order and each at most once, and
// refuses what is left.
func (p *circuitParser) after(usage string, clauses ...clause) (err error) {
	for _, c := range clauses {
		if len(p.args) == 0 || p.args[0] != c.word {
			continue
		}
		if len(p.args) == 1 {
			return p.Errf("%s", usage)
		}
		value := p.args[1]
		p.args = p.args[2:]
		if c.duration != nil {
			*c.duration, err = duration(p.Dispenser, value)
		} else {
			*c.number, err = number(p.Dispenser, c.word, value, 1, 10000)
		}
		if err != nil {
			return err
		}
	}
	if len(p.args) > 0 {
		return p.Errf("unexpected %q; %s", p.args[0], usage)
	}
	return nil
}
