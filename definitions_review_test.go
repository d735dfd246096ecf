package aigateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// TestChangeBeyondTheStoresLimit: a change that is more than one commit takes is
// refused whole, and says what to do.
func TestChangeBeyondTheStoresLimit(t *testing.T) {
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	a := &App{DataDir: t.TempDir()}
	if err := a.Provision(ctx); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.Cleanup(); err != nil {
			t.Error(err)
		}
	})
	var ops []registry.Op
	for i := range 2000 {
		ops = append(ops, registry.Op{
			ID: registry.ID{Kind: registry.Models, Name: fmt.Sprint("m", i)}, Verb: registry.Create,
			Spec: json.RawMessage(`{"description":"` + strings.Repeat("x", 1000) + `"}`),
		})
	}
	_, err := a.Change(ops, registry.ChangeOptions{Actor: "tester"})
	if e, ok := errors.AsType[*registry.Error](err); !ok || e.Code != registry.CodeInvalid || !strings.Contains(e.Message, "in parts") {
		t.Errorf("error %v", err)
	}
	v, err := a.View()
	if err != nil || len(v.List(registry.Models)) != 0 {
		t.Errorf("%d models are there, %v", len(v.List(registry.Models)), err)
	}
	if _, err := a.Change(ops[:500], registry.ChangeOptions{Actor: "tester"}); err != nil {
		t.Error(err)
	}
}
