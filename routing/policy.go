package routing

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
)

// Selector is a selection policy: it orders the sources of one priority for a
// request. Modules of the namespace ai_gateway.selection_policies implement it.
//
// Order sorts in place, the source to be tried first at the front, and adds or
// takes away nothing. It is given the sources that could take the request now,
// at least one. A source of weight 0 is being drained and belongs behind all
// others. Order is called concurrently for different requests; it must not keep
// its arguments nor change what they point to.
type Selector interface {
	Order(candidates []*Candidate, r *Request)
}

// PolicyNamespace is the namespace of the selection policies among Caddy's
// modules.
const PolicyNamespace = "ai_gateway.selection_policies"

// DefaultPolicy is the policy of a model that names none.
const DefaultPolicy = "weighted"

// policy is a selection policy of ours.
type policy struct {
	name     string
	synonyms []string
	make     func() caddy.Module
}

// policies is the one list of the built-in policies, for the parser, the checks
// and the use.
var policies = []policy{
	{DefaultPolicy, []string{"weighted_random", "weight"}, func() caddy.Module { return new(WeightedPolicy) }},
	{"round_robin", []string{"roundrobin", "rr"}, func() caddy.Module { return new(RoundRobinPolicy) }},
	{
		"weighted_round_robin",
		[]string{"weighted_roundrobin", "smooth_weighted_round_robin", "wrr"},
		func() caddy.Module { return new(WeightedRoundRobinPolicy) },
	},
	{
		"least_conn",
		[]string{"leastconn", "least_conns", "least_connection", "least_connections", "least_busy"},
		func() caddy.Module { return new(LeastConnPolicy) },
	},
	{"random", nil, func() caddy.Module { return new(RandomPolicy) }},
	{"ip_hash", []string{"iphash", "client_ip_hash"}, func() caddy.Module { return new(IPHashPolicy) }},
	{"header_hash", []string{"headerhash", "header"}, func() caddy.Module { return new(HeaderHashPolicy) }},
	{
		"lowest_latency",
		[]string{"latency", "least_latency", "latency_based", "fastest"},
		func() caddy.Module { return new(LowestLatencyPolicy) },
	},
	{"first", []string{"ordered", "in_order"}, func() caddy.Module { return new(FirstPolicy) }},
}

func init() {
	for _, p := range policies {
		caddy.RegisterModule(p.make())
	}
}

// policyInfo is the module information of a built-in policy.
func policyInfo(name string) caddy.ModuleInfo {
	i := slices.IndexFunc(policies, func(p policy) bool { return p.name == name })
	return caddy.ModuleInfo{ID: caddy.ModuleID(PolicyNamespace + "." + name), New: policies[i].make}
}

// Policies lists the names of all selection policies, sorted: the built-in ones
// and those of other modules.
func Policies() []string {
	var names []string
	for _, m := range caddy.GetModules(PolicyNamespace) {
		names = append(names, m.ID.Name())
	}
	slices.Sort(names)
	return names
}

// PolicyName finds the policy that a text names, which may be a synonym and may
// have hyphens for underscores. ok is false if there is none.
func PolicyName(text string) (name string, ok bool) {
	if _, err := caddy.GetModule(PolicyNamespace + "." + text); err == nil {
		return text, true
	}
	plain := strings.ReplaceAll(strings.ToLower(text), "-", "_")
	for _, p := range policies {
		if p.name == plain || slices.Contains(p.synonyms, plain) {
			return p.name, true
		}
	}
	return "", false
}

// normalPolicy checks the name in a policy's config and puts the usual name in
// its place.
func normalPolicy(raw json.RawMessage) (json.RawMessage, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return nil, errors.New(`must be an object such as {"policy":"round_robin"}`)
	}
	var written string
	if err := json.Unmarshal(fields["policy"], &written); err != nil || written == "" {
		return nil, fmt.Errorf("policy: required; known: %s", strings.Join(Policies(), ", "))
	}
	name, ok := PolicyName(written)
	switch {
	case !ok:
		return nil, fmt.Errorf("policy: unknown policy %q; known: %s", written, strings.Join(Policies(), ", "))
	case name == written:
		return raw, nil
	}
	fields["policy"] = json.RawMessage(`"` + name + `"`)
	return json.Marshal(fields)
}

// loadPolicy makes the selector of the model's config. The config stays readable
// afterwards, with the usual name of the policy.
func (m *Model) loadPolicy(ctx caddy.Context) error {
	if m.PolicyRaw == nil || m.selector != nil {
		return nil
	}
	raw, err := normalPolicy(m.PolicyRaw)
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	m.PolicyRaw = raw
	module, err := ctx.LoadModule(m, "PolicyRaw")
	m.PolicyRaw = raw
	if err != nil {
		return fmt.Errorf("policy: %w", err)
	}
	selector, ok := module.(Selector)
	if !ok {
		return fmt.Errorf("policy: module %T is no selection policy", module)
	}
	m.selector = selector
	return nil
}

// policyName is the name of the model's policy.
func (m *Model) policyName() string {
	var config struct {
		Policy string `json:"policy"`
	}
	if json.Unmarshal(m.PolicyRaw, &config) != nil || config.Policy == "" {
		return DefaultPolicy
	}
	return config.Policy
}

// inParts sorts the sources that have a weight, and behind them those that are
// being drained, each by themselves.
func inParts(candidates []*Candidate, sort func(part []*Candidate)) {
	slices.SortStableFunc(candidates, func(a, b *Candidate) int {
		return drained(a) - drained(b)
	})
	weighted := len(candidates)
	for weighted > 0 && candidates[weighted-1].weight == 0 {
		weighted--
	}
	for _, part := range [...][]*Candidate{candidates[:weighted], candidates[weighted:]} {
		if len(part) > 0 {
			sort(part)
		}
	}
}

// drained is 1 for a source of weight 0, else 0.
func drained(c *Candidate) int {
	if c.weight == 0 {
		return 1
	}
	return 0
}

// share is what a source counts among those of its part: all of weight 0 are
// alike.
func share(c *Candidate) int { return max(c.weight, 1) }

// shuffle puts sources into a random order.
func shuffle(part []*Candidate, r *Request) {
	for i := len(part) - 1; i > 0; i-- {
		j := r.IntN(i + 1)
		part[i], part[j] = part[j], part[i]
	}
}

// noOptions parses a policy that takes none.
func noOptions(d *caddyfile.Dispenser) error {
	d.Next() // the policy's name
	name := d.Val()
	if d.NextArg() || d.NextBlock(0) {
		return d.Errf("policy %s takes no value, not %q", name, d.Val())
	}
	return nil
}
