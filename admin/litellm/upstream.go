package litellm

import (
	"fmt"
	"slices"
	"strings"
)

// upstreamBlock is an upstream of the Caddyfile.
type upstreamBlock struct {
	service
	name string
	// formats are those that it speaks beside the usual ones, for a server that is
	// told by its address.
	formats []string
	// expose says that clients may ask for all of its models.
	expose bool
	// standIns are the variables in the place of secrets, by their purpose.
	standIns map[string]string
}

// upstreamOf finds the upstream of an entry, or makes it.
func (c *converter) upstreamOf(d *deployment) *upstreamBlock {
	key := d.service.key()
	u := c.services[key]
	if u == nil {
		u = &upstreamBlock{service: d.service, name: c.upstreamName(d.service.preset), standIns: make(map[string]string)}
		c.services[key] = u
		c.upstreams = append(c.upstreams, u)
	}
	for _, f := range append(slices.Clone(d.task.formats), d.format) {
		if f != "" && u.preset == "" && !slices.Contains(u.formats, f) {
			u.formats = append(u.formats, f)
		}
	}
	for _, v := range d.service.values() {
		c.standIn(u, v)
	}
	return u
}

// values are the texts of a service that may be secrets.
func (s *service) values() []value {
	all := []value{s.address, s.credential}
	for _, h := range s.headers {
		all = append(all, h.value)
	}
	return all
}

// upstreamName is a name for the next upstream of a preset. No name is that of a
// preset unless it is meant.
func (c *converter) upstreamName(preset string) string {
	base := strings.ReplaceAll(preset, "_", "-")
	if base == "" {
		base = "compatible"
	}
	c.ofPreset[base]++
	if n := c.ofPreset[base]; n > 1 {
		return fmt.Sprintf("%s-%d", base, n)
	}
	return base
}

// unique is the name, or the name with the first number behind it that is not taken.
func unique(name string, taken func(string) bool) string {
	free := name
	for n := 2; taken(free); n++ {
		free = fmt.Sprintf("%s-%d", name, n)
	}
	return free
}

// standIn gives a secret of the file a variable in its place, and names it.
func (c *converter) standIn(u *upstreamBlock, v value) {
	if !v.secret {
		return
	}
	variable, ok := u.standIns[v.purpose]
	if !ok {
		variable = c.variable(u.name + "_" + v.purpose)
		u.standIns[v.purpose] = variable
	}
	c.name(v.from, standInReason, variable)
}

// standInReason is what is said of a secret, with the name of its stand-in.
const standInReason = "is or may be a secret, which no configuration should hold: set the variable %s in Caddy's environment to it"

// variable makes a name of a variable that the file does not name.
func (c *converter) variable(purpose string) string {
	name := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' {
			return r - 'a' + 'A'
		}
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, "AI_GATEWAY_"+purpose)
	name = strings.ReplaceAll(unique(name, func(n string) bool { return c.environment[strings.ReplaceAll(n, "-", "_")] }), "-", "_")
	c.environment[name] = true
	return name
}
