package catalogue_test

import (
	"errors"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/catalogue"
)

// shelf is a store whose contents are put there by a test.
type shelf struct {
	stored []catalogue.Catalogue
	fault  error
}

func (s *shelf) LoadCatalogues() ([]catalogue.Catalogue, error) { return s.stored, s.fault }
func (s *shelf) SaveCatalogue(catalogue.Catalogue) error        { return nil }
func (s *shelf) DeleteCatalogue(string) error                   { return nil }

// TestReplace: older catalogues are taken, and those that are not stored are dropped,
// but for a store that cannot be read.
func TestReplace(t *testing.T) {
	kept := new(shelf)
	s := catalogue.New(kept)
	for _, name := range []string{"a", "b", "c"} {
		if err := s.AddManual("u", catalogue.Entry{Name: name}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.AddManual("later", catalogue.Entry{Name: "x"}); err != nil {
		t.Fatal(err)
	}
	kept.stored = []catalogue.Catalogue{{Upstream: "u", Revision: 1, Entries: []catalogue.Entry{{Name: "a", Origin: catalogue.OriginManual}}}}
	kept.fault = errors.New("a record is damaged")
	if err := s.Replace(); !errors.Is(err, kept.fault) {
		t.Errorf("a damaged record: %v", err)
	}
	if _, ok := s.Get("later"); !ok {
		t.Error("what may be in the damaged record was dropped")
	}
	kept.fault = nil
	if err := s.Replace(); err != nil {
		t.Fatal(err)
	}
	if c, ok := s.Get("u"); !ok || len(c.Entries) != 1 || c.Revision != 1 {
		t.Errorf("the catalogue is %+v", c)
	}
	if c, ok := s.Get("later"); ok {
		t.Errorf("there is still %+v", c)
	}
	if err := s.AddManual("later", catalogue.Entry{Name: "y"}); err != nil {
		t.Error(err)
	}
}
