package litellm

import (
	"cmp"
	"slices"
	"strings"
)

// policies are the strategies that have a counterpart.
var policies = map[string]string{
	"simple-shuffle":        "weighted",
	"least-busy":            "least_conn",
	"latency-based-routing": "lowest_latency",
}

// readRouting reads what concerns several models: the policy, fallbacks, aliases.
func (c *converter) readRouting() {
	router, library := c.root.get("router_settings"), c.root.get("litellm_settings")
	c.readFallbacks(c.first(router.get("fallbacks"), library.get("fallbacks")),
		c.first(router.get("default_fallbacks"), library.get("default_fallbacks")))
	c.readPolicy(router.get("routing_strategy"))
	c.readAliases(router.get("model_group_alias"))
	c.readAliases(library.get("model_alias_map"))
}

// readPolicy gives all models that have a choice the policy.
func (c *converter) readPolicy(f field) {
	if !f.there() {
		return
	}
	policy, ok := policies[f.text()]
	switch {
	case !ok:
		c.name(f, "the gateway has no such policy; models stay with weighted, and `policy` in a model takes another")
		return
	case !slices.ContainsFunc(c.models, func(m *modelBlock) bool { return len(m.sources) > 1 }):
		c.name(f, "no model has more than one source")
		return
	}
	c.take(f)
	for _, m := range c.models {
		if policy != "weighted" && len(m.sources) > 1 {
			m.policy = policy
		}
	}
}

// readFallbacks adds the sources of other models behind those of a model.
func (c *converter) readFallbacks(list, all field) {
	own := make(map[*modelBlock][]source) // as they are without fallbacks
	for _, m := range c.models {
		own[m] = slices.Clone(m.sources)
	}
	var general []field
	for item := range list.items {
		for name, targets := range item.pairs {
			if name == "*" {
				general = append(general, targets)
				continue
			}
			m := c.findModel(c.aliased(name))
			if m == nil {
				c.name(targets, "no model of this name was converted")
				continue
			}
			m.fallbacks = true
			c.fallBack([]*modelBlock{m}, targets, own)
		}
	}
	var others []*modelBlock
	for _, m := range c.models {
		if !m.fallbacks {
			others = append(others, m)
		}
	}
	for _, targets := range append(general, all) {
		c.fallBack(others, targets, own)
	}
}

// aliased is the name of the model that a name is an alias of, or else the name.
func (c *converter) aliased(name string) string {
	if c.targets == nil {
		c.targets = make(map[string]string)
		for alias, f := range c.root.get("router_settings").get("model_group_alias").pairs {
			c.targets[alias] = firstThere(f.get("model"), f).text()
		}
	}
	return cmp.Or(c.targets[name], name)
}

// fallBack adds the sources of the targets behind those of the models.
func (c *converter) fallBack(models []*modelBlock, targets field, own map[*modelBlock][]source) {
	if targets.there() && !targets.isList() {
		c.name(targets, "is no list of models")
		return
	}
	open := slices.Clone(models)
	for target := range targets.items {
		open = slices.DeleteFunc(open, (*modelBlock).full)
		from := c.findModel(c.aliased(target.text()))
		switch {
		case target.isMap():
			c.name(target, "write the model's name alone; a fallback has no parameters of its own")
			continue
		case from == nil || target.text() == "":
			c.name(target, "no model of this name was converted")
			continue
		case len(models) == 0:
			c.name(target, "every model has fallbacks of its own")
			continue
		}
		added := false
		for _, m := range open {
			added = m.append(own[from]) || added
		}
		if added {
			c.take(target)
			continue
		}
		c.name(target, "the model has its sources already, or %d of them; a request tries at most %d", maxSources, mostAttempts)
	}
}

// full says that the model takes on no fallbacks any more.
func (m *modelBlock) full() bool { return len(m.sources) >= maxSources }

// append adds sources behind all others, with their own order; those that the model
// has already are left out. It is false if it adds none.
func (m *modelBlock) append(sources []source) (added bool) {
	last := 0
	for _, s := range m.sources {
		last = max(last, s.priority)
	}
	priority, before := last, 0
	for _, s := range sources {
		if m.full() || slices.ContainsFunc(m.sources, s.same) {
			continue
		}
		added = true
		if priority == last || s.priority != before {
			priority, before = priority+1, s.priority
		}
		s.priority = priority
		m.sources = append(m.sources, s)
	}
	return added
}

// readAliases reads other names of models.
func (c *converter) readAliases(f field) {
	for name, to := range f.pairs {
		target := to
		if to.isMap() {
			target = to.get("model")
		}
		m := c.findModel(target.text())
		switch {
		case target.text() == "" || m == nil:
			c.name(to, "no model of this name was converted")
		case m.pattern != "":
			c.name(to, "the model stands for many names; write an alias of one of them")
		case c.findModel(name) != nil || c.isModel(name) || c.isAlias(name):
			c.name(to, "a model, or another alias, has this name already")
		case !sayable(name) || strings.Contains(name, "*"):
			c.name(to, "the name is empty, longer than 256 bytes, holds a *, or characters that a Caddyfile cannot")
		default:
			c.addAlias(name, m.name)
			c.take(target)
			c.readHidden(to.get("hidden"))
		}
	}
}

// readHidden names an alias that should not be listed.
func (c *converter) readHidden(f field) {
	switch hidden, ok := c.flag(f); {
	case ok && hidden:
		c.name(f, "aliases are listed; `models` in the site says which names it serves and lists")
	case ok:
		c.take(f)
	}
}

// isAlias says whether an alias of the Caddyfile has this name.
func (c *converter) isAlias(name string) bool { return c.aliasNames[name] }
