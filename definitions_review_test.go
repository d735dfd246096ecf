package aigateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// TestChangeBeyondTheStoresLimit: a change that is more than one commit takes is
// refused whole, and says what to do.
func TestChangeBeyondTheStoresLimit(t *testing.T) {
	var writes []registry.Write
	for i := range 10 {
		writes = append(writes, registry.Write{
			ID:     registry.ID{Kind: registry.Models, Name: fmt.Sprint("m", i)},
			Record: &registry.Record{Spec: json.RawMessage(`"` + strings.Repeat("x", 7<<20) + `"`)},
		})
	}
	definitions := newDefinitionStore(openStore(t, t.TempDir()))
	_, err := definitions.Commit(writes)
	if e, ok := errors.AsType[*registry.Error](err); !ok || e.Code != registry.CodeInvalid || !strings.Contains(e.Message, "in parts") {
		t.Errorf("error %v", err)
	}
	if all, err := definitions.Load(); err != nil || len(all) != 0 {
		t.Errorf("%d models are there, %v", len(all), err)
	}
	if _, err := definitions.Commit(writes[:2]); err != nil {
		t.Error(err)
	}
}
