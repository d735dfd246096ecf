package registrytest

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

var alpha, beta = registry.ID{Kind: registry.Upstreams, Name: "alpha"}, registry.ID{Kind: registry.Models, Name: "beta"}

// TestCommitIsAllOrNothing: one condition that does not hold, or a refusal, and nothing
// is written.
func TestCommitIsAllOrNothing(t *testing.T) {
	s := new(Store)
	record := &registry.Record{Spec: json.RawMessage(`{}`)}
	first, err := s.Commit([]registry.Write{{ID: alpha, Record: record}})
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	for name, c := range map[string]struct {
		refusal error
		writes  []registry.Write
	}{
		"made twice":      {nil, []registry.Write{{ID: beta, Record: record}, {ID: alpha, Record: record}}},
		"another's turn":  {nil, []registry.Write{{ID: beta, Record: record}, {ID: alpha, Record: record, If: first + 1}}},
		"nothing to drop": {nil, []registry.Write{{ID: alpha, If: first}, {ID: beta, If: first}}},
		"refused":         {full, []registry.Write{{ID: beta, Record: record}}},
	} {
		s.Refuse(c.refusal)
		if _, err := s.Commit(c.writes); err == nil || c.refusal != nil && !errors.Is(err, c.refusal) {
			t.Errorf("%s: %v", name, err)
		}
		if all, err := s.Load(); err != nil || len(all) != 1 || all[alpha].Revision != first {
			t.Errorf("%s: the records are %v (%v)", name, all, err)
		}
	}
	s.Refuse(nil)
	if _, err := s.Commit([]registry.Write{{ID: alpha, If: first}}); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Load(); err != nil || all == nil || len(all) != 0 {
		t.Errorf("after the deletion the records are %v (%v)", all, err)
	}
}

// TestRecordsAreCopies: whoever has read or written a record cannot change the stored
// one.
func TestRecordsAreCopies(t *testing.T) {
	s := new(Store)
	written := json.RawMessage(`{"a":1}`)
	s.Put(alpha, registry.Record{Spec: written, Revision: 7})
	written[2] = 'x'
	s.Record(alpha).Spec[2] = 'y'
	all, err := s.Load()
	if err != nil {
		t.Fatal(err)
	}
	all[alpha].Spec[2] = 'z'
	if got := string(s.Record(alpha).Spec); got != `{"a":1}` {
		t.Errorf("the record reads %s", got)
	}
	if revision, err := s.Commit([]registry.Write{{ID: beta, Record: &registry.Record{}}}); err != nil || revision != 8 {
		t.Errorf("after revision 7 comes %d (%v)", revision, err)
	}
	s.Delete(alpha)
	if got := s.Record(alpha); got.Revision != 0 || got.Spec != nil {
		t.Errorf("after the deletion the record is %+v", got)
	}
}

// TestSealsAreBound: a secret opens in its own place only, is not read in its seal, and
// cannot be sealed without a key.
func TestSealsAreBound(t *testing.T) {
	s := new(Store)
	sealed, err := s.Seal("upstreams/alpha", "1/token", []byte("canary"))
	if err != nil || strings.Contains(sealed, "canary") {
		t.Fatalf("sealed is %q (%v)", sealed, err)
	}
	s.LoseKey()
	if plain, err := s.Unseal("upstreams/alpha", "1/token", sealed); err != nil || string(plain) != "canary" {
		t.Errorf("opened is %q (%v)", plain, err)
	}
	for _, place := range [][2]string{{"upstreams/beta", "1/token"}, {"upstreams/alpha", "2/token"}, {"upstreams/alpha", "1/toke"}} {
		if plain, err := s.Unseal(place[0], place[1], sealed); err == nil {
			t.Errorf("for %v it opens as %q", place, plain)
		}
	}
	if _, err := s.Unseal("upstreams/alpha", "1/token", "*"); err == nil {
		t.Error("what is no seal was opened")
	}
	var refusal *registry.Error
	if _, err := s.Seal("upstreams/alpha", "1/token", nil); !errors.As(err, &refusal) || refusal.Code != registry.CodeNoSecretKey {
		t.Errorf("without a key: %v", err)
	}
}
