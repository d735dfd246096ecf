package handler

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// keys is a provider that knows 15 keys, of which those from the sixth on have no quota
// for a while.
type keys struct {
	paid   bool
	served map[string]int // by key
	failed map[string]int
}

const (
	manyKeys  = 15
	goodKeys  = 5
	allKeysIn = 72 * time.Minute // the longest open time of a credential's circuit
)

func keyName(i int) string { return fmt.Sprintf("k%02d", i) }

func (k *keys) answer(r *http.Request) (*http.Response, error) {
	key := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer token-of-")
	if !k.paid && key >= keyName(goodKeys) {
		k.failed[key]++
		return answer(http.StatusPaymentRequired, "application/json", `{"error":{"message":"no credit left"}}`)(r)
	}
	k.served[key]++
	return answer(http.StatusOK, "application/json", chatAnswer)(r)
}

// bearers are n credentials of which the first has the weight 1, the others the given
// one.
func bearers(n, others int) (all []json.RawMessage) {
	weight := 1
	for i := range n {
		all = append(all, fmt.Appendf(nil, `{"type":"bearer","id":%q,"token":"token-of-%s","weight":%d}`, keyName(i), keyName(i), weight))
		weight = others
	}
	return all
}

// newUpstream is an upstream inside the process with the credentials. A client's own
// may take their place.
func newUpstream(t *testing.T, name string, f format.ID, answer roundTrip, credentials ...json.RawMessage) *upstream.Upstream {
	t.Helper()
	ctx, cancel := caddy.NewContext(caddy.Context{Context: context.Background()})
	t.Cleanup(cancel)
	stubs.Store(t.Name()+name, answer)
	u := &upstream.Upstream{
		BaseURL: "http://upstream.example", Formats: []format.ID{f}, CredentialsRaw: credentials, AllowOverride: true,
		TransportRaw: fmt.Appendf(nil, `{"protocol":"handler_stub","name":%q}`, t.Name()+name),
	}
	if err := u.Provision(ctx, name); err != nil {
		t.Fatal(err)
	}
	return u
}

// newPooledHandler returns a handler whose one upstream has the keys, and what is
// observed of it.
func newPooledHandler(t *testing.T, k *keys) (*Handler, *routing.State) {
	t.Helper()
	u := newUpstream(t, "u", format.OpenAIChat, k.answer, bearers(manyKeys, 1)...)
	state := routing.NewState()
	model := &routing.Model{Sources: []routing.Source{{Upstream: "u", Model: "real"}}}
	snapshot, err := state.NewSnapshot(routing.Definitions{Upstreams: map[string]*upstream.Upstream{"u": u}, Models: map[string]*routing.Model{"m": model}})
	if err != nil {
		t.Fatal(err)
	}
	return &Handler{gateway: &stubGateway{snapshot}, logger: zap.NewNop()}, state
}

// TestExhaustedKeysComeBack shows that ten of fifteen keys that have no quota for half
// an hour are left alone meanwhile, and that all of them serve again by themselves when
// they have, without a failure that a client sees.
func TestExhaustedKeysComeBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := &keys{served: map[string]int{}, failed: map[string]int{}}
		h, state := newPooledHandler(t, k)
		closed := func() (n int) {
			for i := range manyKeys {
				key := routing.CircuitKey{Scope: routing.ScopeCredential, Upstream: "u", Credential: keyName(i)}
				if state.Circuits.Get(key, nil).View(time.Now()).State == routing.CircuitClosed {
					n++
				}
			}
			return n
		}
		requests := func(until func() bool) (sent, failed int) {
			for ; !until(); sent++ {
				if w := serve(t, h, post("/v1/chat/completions", chatRequest)); w.Code != http.StatusOK {
					failed++
				}
				time.Sleep(2 * time.Second)
			}
			return sent, failed
		}

		begin := time.Now()
		sent, failed := requests(func() bool { return time.Since(begin) >= 30*time.Minute })
		if len(k.failed) != manyKeys-goodKeys || closed() != goodKeys {
			t.Errorf("%d keys have failed and %d circuits are closed", len(k.failed), closed())
		}
		// Each fails once, and once after 5, 10 and 20 minutes, less a fifth.
		for key, n := range k.failed {
			if n > 4 {
				t.Errorf("%s was asked %d times in vain", key, n)
			}
		}
		// A request goes to a second key, and fails if it has none left either.
		if most := 4 * (manyKeys - goodKeys) / 2; failed > most {
			t.Errorf("%d of %d requests failed, want %d at most", failed, sent, most)
		}

		k.paid, k.served = true, map[string]int{}
		restored := time.Now()
		_, failed = requests(func() bool { return closed() == manyKeys || time.Since(restored) > allKeysIn })
		if failed > 0 || closed() != manyKeys {
			t.Errorf("%s after the quota is back, %d circuits are closed and %d requests have failed", time.Since(restored), closed(), failed)
		}
		began := time.Now()
		k.served = map[string]int{}
		requests(func() bool { return len(k.served) == manyKeys || time.Since(began) > time.Hour })
		if len(k.served) != manyKeys {
			t.Errorf("only %v serve", k.served)
		}
	})
}
