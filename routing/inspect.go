package routing

// Entry is a model by its exact name, disabled or not.
func (s *Snapshot) Entry(name string) (*Entry, bool) {
	e, ok := s.models[name]
	return e, ok
}

// Entries lists all models by name, the disabled ones included.
func (s *Snapshot) Entries() []*Entry {
	all := make([]*Entry, 0, len(s.models))
	for _, name := range sortedNames(s.models) {
		all = append(all, s.models[name])
	}
	return all
}

// Alias is the definition of an alias by its exact name, disabled or not. It must
// not be changed.
func (s *Snapshot) Alias(name string) (*Alias, bool) {
	a, ok := s.aliases.all[name]
	if !ok {
		return nil, false
	}
	return &a.Alias, true
}
