package catalogue

import "fmt"

// Replace makes the catalogues those of the store, after another store has come into
// its place. Unlike Load it takes older ones too, and drops those that the store does
// not have. If some cannot be read the others are taken, and none is dropped.
func (s *Syncer) Replace() error {
	stored, err := s.store.LoadCatalogues()
	there := make(map[string]bool, len(stored))
	for _, c := range stored {
		there[c.Upstream] = true
		s.put(c)
	}
	if err != nil {
		return fmt.Errorf("reading the catalogues: %w", err)
	}
	for _, c := range s.All() {
		if there[c.Upstream] {
			continue
		}
		st := s.lock(c.Upstream)
		st.current.Store(nil)
		st.unstored = false
		st.writing.Unlock()
	}
	return nil
}

// put makes a stored catalogue the current one, whatever is known.
func (s *Syncer) put(c Catalogue) {
	c.Entries = cleaned(c.Entries)
	st := s.lock(c.Upstream)
	defer st.writing.Unlock()
	st.current.Store(&c)
	st.unstored, st.rooted = false, true
}
