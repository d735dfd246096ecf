package litellm

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// modelBlock is a model of the Caddyfile.
type modelBlock struct {
	name    string
	pattern string // what the file calls it, if that holds a *
	sources []source
	// operations are what it may be asked for; empty: anything.
	operations    []string
	onUnsupported string
	capabilities  map[string]string
	deployments   []*deployment
	policy        string
	fallbacks     bool // has its fallbacks
}

// source is a source of a model.
type source struct {
	upstream *upstreamBlock
	model    string
	format   string
	priority int
	weight   int
	disabled bool
}

// same says whether two sources are one for the gateway.
func (s source) same(o source) bool {
	return s.upstream == o.upstream && s.model == o.model && s.format == o.format
}

// aliasBlock is an alias of the Caddyfile.
type aliasBlock struct{ name, model string }

// readModels reads model_list: entries of one name become one model.
func (c *converter) readModels() {
	credentials := make(map[string]field)
	for item := range c.root.get("credential_list").items {
		if name := item.get("credential_name").text(); name != "" {
			credentials[name] = item
		}
	}
	for entry := range c.root.get("model_list").items {
		d := c.readEntry(entry, credentials)
		switch {
		case d == nil:
		case strings.Contains(d.model, "*"):
			c.expose(d)
		default:
			m := c.modelNamed(d.name)
			m.deployments = append(m.deployments, d)
		}
	}
	// What stands for many names gets a name of its own when all others are known.
	for _, m := range c.models {
		if strings.Contains(m.pattern, "*") {
			m.name = unique(strings.Trim(strings.ReplaceAll(m.pattern, "*", "any"), "-/ "), c.isModel)
			c.modelNames[m.name] = true
			c.addAlias(m.pattern, m.name)
			c.warnOfPattern(m)
		}
		c.readModel(m)
	}
}

// warnOfPattern says that a pattern goes before what upstreams expose.
func (c *converter) warnOfPattern(m *modelBlock) {
	if slices.ContainsFunc(c.upstreams, func(u *upstreamBlock) bool { return u.expose }) {
		c.name(m.deployments[0].entry.get("model_name"),
			"the alias takes all names that match it, also those that upstreams expose; these can be asked for as @UPSTREAM/NAME")
	}
}

// modelNamed finds the model that the file calls so, or makes it.
func (c *converter) modelNamed(written string) *modelBlock {
	if m := c.findModel(written); m != nil {
		return m
	}
	m := &modelBlock{name: written, capabilities: make(map[string]string)}
	if strings.Contains(written, "*") {
		m.name, m.pattern = "", written
	} else {
		c.modelNames[written] = true
	}
	c.written[written] = m
	c.models = append(c.models, m)
	return m
}

// findModel finds the model that the file calls so; nil if there is none.
func (c *converter) findModel(written string) *modelBlock { return c.written[written] }

// isModel says whether a model of the Caddyfile has this name.
func (c *converter) isModel(name string) bool { return c.modelNames[name] }

// addAlias adds an alias.
func (c *converter) addAlias(name, model string) {
	c.aliases = append(c.aliases, aliasBlock{name, model})
	c.aliasNames[name] = true
}

// expose lets clients ask for all models of an entry's upstream.
func (c *converter) expose(d *deployment) {
	d.upstream.expose = true
	c.name(d.entry.get("model_name"),
		"clients ask for all models of this upstream by its own names, or as @%s/NAME, as soon as its catalogue was fetched; `models` in the site limits them",
		d.upstream.name)
	if d.model != "*" {
		c.name(d.params.get("model"), "clients can ask for all models of the upstream, not only for those that match")
	}
}

// readModel makes a model of its entries.
func (c *converter) readModel(m *modelBlock) {
	c.readOperations(m)
	c.readUnsupported(m)
	c.readCapabilities(m)
	tiers := c.tiersOf(m)
	for i, tier := range tiers {
		weights := c.weightsOf(tier)
		for j, d := range tier {
			c.addSource(m, d, source{
				upstream: d.upstream, model: d.model, format: d.format, priority: i + 1, weight: weights[j], disabled: d.disabled,
			})
		}
	}
}

// addSource adds a source; one that the model has already takes the weight of both.
func (c *converter) addSource(m *modelBlock, d *deployment, s source) {
	i := slices.IndexFunc(m.sources, s.same)
	switch {
	case i < 0:
		m.sources = append(m.sources, s)
	case m.sources[i].priority == s.priority && m.sources[i].disabled == s.disabled:
		m.sources[i].weight = min(m.sources[i].weight+s.weight, 1000)
	default:
		c.name(d.entry, "an earlier entry of the model is the same upstream and upstream model")
	}
}

// tiersOf sorts entries by order, lower numbers first. LiteLLM takes those without
// an order last, if others have one.
func (c *converter) tiersOf(m *modelBlock) [][]*deployment {
	orders := make(map[float64][]*deployment)
	var last []*deployment
	for _, d := range m.deployments {
		f := d.params.get("order")
		if n, ok := c.count(f, -1e6, 1e6); ok {
			orders[n] = append(orders[n], d)
			c.take(f)
			continue
		}
		last = append(last, d)
	}
	var tiers [][]*deployment
	for _, n := range slices.Sorted(maps.Keys(orders)) {
		tiers = append(tiers, orders[n])
	}
	if len(last) > 0 {
		tiers = append(tiers, last)
	}
	return tiers
}

// readOperations limits the model to what its entries are for, if all say so.
func (c *converter) readOperations(m *modelBlock) {
	var found []string
	for _, d := range m.deployments {
		op := d.task.operation
		if op == "" {
			return
		}
		if !slices.Contains(found, op) {
			found = append(found, op)
		}
	}
	m.operations = found
}

// readUnsupported reads drop_params, which the first entry decides for the model.
func (c *converter) readUnsupported(m *modelBlock) {
	for _, d := range m.deployments {
		f := d.params.get("drop_params")
		drop, ok := c.flag(f)
		if !ok {
			continue
		}
		word := "error"
		if drop {
			word = "drop"
		}
		if m.onUnsupported != "" && m.onUnsupported != word {
			c.name(f, "another entry of the model says otherwise, and on_unsupported is the model's")
			continue
		}
		m.onUnsupported = word
		c.take(f)
	}
}

// readCapabilities reads what model_info says of the upstream models, as far as the
// gateway makes use of it.
func (c *converter) readCapabilities(m *modelBlock) {
	set := func(f field, key, value string) {
		if had, ok := m.capabilities[key]; ok && had != value {
			c.name(f, "another entry of the model says otherwise, and capability %s is the model's", key)
			return
		}
		m.capabilities[key] = value
		c.take(f)
	}
	for _, d := range m.deployments {
		if n, ok := c.count(d.info.get("max_output_tokens"), 1, 1e8); ok {
			set(d.info.get("max_output_tokens"), "max_output", fmt.Sprintf("%.0f", n))
		}
		for _, known := range []struct{ key, capability string }{
			{"supports_response_schema", "structured_output"},
			{"supports_assistant_prefill", "prefill"},
		} {
			if value, ok := c.flag(d.info.get(known.key)); ok {
				set(d.info.get(known.key), known.capability, fmt.Sprint(value))
			}
		}
	}
}
