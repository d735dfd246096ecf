package routing

import (
	"maps"
	"slices"
	"strings"
)

// Offer is a name that clients can ask for.
type Offer struct {
	// Name is what clients ask for.
	Name string
	// Model is the definition of the model that it stands for; it must not be
	// changed. Nil for an upstream model.
	Model *Model

	entry *Entry // of the model
}

// DisplayName is the name that people are shown.
func (o *Offer) DisplayName() string {
	if o.Model != nil && o.Model.DisplayName != "" && o.entry.Name == o.Name {
		return o.Model.DisplayName
	}
	return o.Name
}

// Vendor is who made the model; "" if that is not known.
func (o *Offer) Vendor() string {
	if o.Model == nil {
		return ""
	}
	return o.Model.Vendor
}

// Description is what the model is for; "" if nobody said.
func (o *Offer) Description() string {
	if o.Model == nil {
		return ""
	}
	return o.Model.Description
}

// Offers lists the names that may be asked for and that can be used now: models in display order,
// then aliases and the names that aliases announce, then what upstreams expose;
// these by name. The caller must not change it.
func (s *Snapshot) Offers(names *Names) []Offer {
	if names == nil {
		return s.public()
	}
	var in []Offer
	for _, o := range s.offers() {
		if o.in(names) {
			in = append(in, o)
		}
	}
	return in
}

// Offer finds a name that may be asked for and that can be used now. Besides those that are listed
// it finds those that match a pattern, and upstream models that are pinned.
func (s *Snapshot) Offer(names *Names, name string) (Offer, bool) {
	e, ok := s.Lookup(name)
	if !ok || !names.admits(name, e) || !e.Usable() {
		return Offer{}, false
	}
	return s.offer(name, e), true
}

// offer is the offer of a name that stands for an entry.
func (s *Snapshot) offer(name string, e *Entry) Offer {
	if s.models[e.Name] != e {
		return Offer{Name: name} // an upstream model
	}
	return Offer{Name: name, Model: e.Model, entry: e}
}

// in says whether the offer is one of the names.
func (o *Offer) in(names *Names) bool {
	if o.entry == nil {
		return names.Covers(o.Name)
	}
	return names.admits(o.Name, o.entry)
}

func (s *Snapshot) listPublic() []Offer {
	return slices.DeleteFunc(slices.Clone(s.offers()), func(o Offer) bool { return !o.in(nil) })
}

// listOffers lists all names that can be used, those of internal models among them.
func (s *Snapshot) listOffers() []Offer {
	var all []Offer
	for _, e := range s.Models() {
		all = append(all, s.offer(e.Name, e))
	}
	for _, name := range s.namesOfAliases() {
		if e, ok := s.Lookup(name); ok && e.Usable() {
			all = append(all, s.offer(name, e))
		}
	}
	for _, name := range s.namesExposed() {
		all = append(all, Offer{Name: name})
	}
	return all
}

// namesOfAliases lists the exact names that aliases give to models, sorted.
func (s *Snapshot) namesOfAliases() []string {
	names := slices.Collect(maps.Keys(s.aliases.exact))
	for name, a := range s.aliases.announced {
		if !a.Disabled {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// namesExposed lists the names of upstream models that can be asked for and that
// stand for nothing else, sorted.
func (s *Snapshot) namesExposed() []string {
	var names []string
	for i := range s.exposing {
		e := &s.exposing[i]
		if e.upstream.Unavailable() != "" {
			continue
		}
		for _, model := range e.models {
			_, isModel := s.models[model]
			_, isAlias := s.aliases.named(model)
			if !isModel && !isAlias && !e.disabled[model] {
				names = append(names, model)
			}
		}
	}
	slices.SortFunc(names, strings.Compare)
	return slices.Compact(names)
}
