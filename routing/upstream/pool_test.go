package upstream

import (
	"errors"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// poolOf provisions an upstream whose credentials have these ids and weights,
// such as "a:2". A token is "token-of-" and the id.
func poolOf(t testing.TB, entries ...string) *Upstream {
	t.Helper()
	var credentials []string
	for _, entry := range entries {
		id, weight, _ := strings.Cut(entry, ":")
		credentials = append(credentials, fmt.Sprintf(`{"type":"bearer","token":"token-of-%s","id":%q,"weight":%s}`, id, id, weight))
	}
	return mustProvision(t, "openai", `{"credentials":[`+strings.Join(credentials, ",")+`]}`)
}

func TestCredentials(t *testing.T) {
	t.Setenv("KEY", "some-key")
	for _, tc := range []struct {
		name, credentials string
		want              []CredentialRef
		unavailable       string
	}{
		{"none", ``, []CredentialRef{}, ""},
		{"defaults", `{"type":"bearer","token":"a"},{"type":"header","name":"x-key","value":"b"}`, []CredentialRef{{"1", 1, ""}, {"2", 1, ""}}, ""},
		{"given", `{"type":"bearer","token":"a","id":"main","weight":3},{"type":"bearer","token":"b","weight":0}`, []CredentialRef{{"main", 3, ""}, {"2", 0, ""}}, ""},
		{"one is empty", `{"type":"bearer","token":"{env.NO_SUCH}"},{"type":"bearer","token":"{env.KEY}"}`, []CredentialRef{{"1", 1, "{env.NO_SUCH}"}, {"2", 1, ""}}, ""},
		{
			"all are empty", `{"type":"bearer","token":"{env.NO_SUCH}"},{"type":"bearer","token":"{env.NOR_THIS}"}`,
			[]CredentialRef{{"1", 1, "{env.NO_SUCH}"}, {"2", 1, "{env.NOR_THIS}"}},
			"not configured: credentials {env.NO_SUCH}, {env.NOR_THIS} are empty",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "openai", `{"credentials":[`+tc.credentials+`]}`)
			if got := u.Credentials(); !slices.Equal(got, tc.want) {
				t.Errorf("got %+v, want %+v", got, tc.want)
			}
			if got := u.Unavailable(); got != tc.unavailable {
				t.Errorf("unavailable: got %q, want %q", got, tc.unavailable)
			}
		})
	}
}

func TestCallWithCredential(t *testing.T) {
	u := mustProvision(t, "openai", `{"credentials":[
		{"type":"bearer","token":"{env.NO_SUCH}","id":"empty"},
		{"type":"bearer","token":"tok-a","id":"a"},
		{"type":"header","name":"x-key","value":"tok-b","id":"b"}]}`)
	for _, tc := range []struct{ name, id, bearer, key string }{
		{"the first that is not empty", "", "Bearer tok-a", ""},
		{"by id", "b", "", "tok-b"},
		{"by id, the first", "a", "Bearer tok-a", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := requestOf(t, u, &Call{Credential: tc.id})
			if got := r.Header.Get("Authorization"); got != tc.bearer {
				t.Errorf("Authorization: got %q, want %q", got, tc.bearer)
			}
			if got := r.Header.Get("X-Key"); got != tc.key {
				t.Errorf("X-Key: got %q, want %q", got, tc.key)
			}
		})
	}
	for _, id := range []string{"empty", "unheard-of"} {
		_, err := u.request(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x"), Credential: id})
		if !errors.Is(err, ErrUnavailable) {
			t.Errorf("%s: got %v", id, err)
		}
	}
}

// draw chooses n times with different seeds, and without a sticky key, and
// returns each id's share.
func draw(t *testing.T, u *Upstream, n int, admit func(string) bool) map[string]float64 {
	t.Helper()
	shares := make(map[string]float64)
	for seed := range n {
		id, ok := u.ChooseCredential("", uint64(seed), admit)
		if !ok {
			t.Fatal("none was chosen")
		}
		shares[id] += 1 / float64(n)
	}
	return shares
}

func TestChoiceByWeight(t *testing.T) {
	all := func(string) bool { return true }
	without := func(barred ...string) func(string) bool {
		return func(id string) bool { return !slices.Contains(barred, id) }
	}
	for _, tc := range []struct {
		name  string
		pool  []string
		admit func(string) bool
		want  map[string]float64
	}{
		{"one", []string{"a:1"}, all, map[string]float64{"a": 1}},
		{"equal", []string{"a:1", "b:1"}, nil, map[string]float64{"a": 0.5, "b": 0.5}},
		{"by weight", []string{"a:7", "b:2", "c:1"}, all, map[string]float64{"a": 0.7, "b": 0.2, "c": 0.1}},
		{"largest weights", []string{"a:1000", "b:1000"}, all, map[string]float64{"a": 0.5, "b": 0.5}},
		{"drained", []string{"a:1", "b:0"}, all, map[string]float64{"a": 1}},
		{"only drained are left", []string{"a:1", "b:0", "c:0"}, without("a"), map[string]float64{"b": 0.5, "c": 0.5}},
		{"one is barred", []string{"a:6", "b:3", "c:1"}, without("a"), map[string]float64{"b": 0.75, "c": 0.25}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := draw(t, poolOf(t, tc.pool...), 20_000, tc.admit)
			for _, id := range []string{"a", "b", "c"} {
				if math.Abs(got[id]-tc.want[id]) > 0.015 {
					t.Errorf("%s: got %.3f, want %.3f", id, got[id], tc.want[id])
				}
			}
		})
	}
}

func TestChoiceOfNone(t *testing.T) {
	if id, ok := mustProvision(t, "openai", `{}`).ChooseCredential("x", 1, nil); id != "" || !ok {
		t.Errorf("without credentials: got %q, %t", id, ok)
	}
	u := poolOf(t, "a:1", "b:0")
	if id, ok := u.ChooseCredential("x", 1, func(string) bool { return false }); id != "" || ok {
		t.Errorf("none is admitted: got %q, %t", id, ok)
	}
	half := mustProvision(t, "openai", `{"credentials":[{"type":"bearer","token":"{env.NO_SUCH}"},{"type":"bearer","token":"b"}]}`)
	for seed := range uint64(100) {
		if id, ok := half.ChooseCredential("", seed, nil); id != "2" || !ok {
			t.Fatalf("one is empty: got %q, %t", id, ok)
		}
	}
}

func TestChoiceDoesNotAllocate(t *testing.T) {
	u, admit := poolOf(t, "a:1", "b:2", "c:0"), func(id string) bool { return id != "a" }
	if n := testing.AllocsPerRun(100, func() { u.ChooseCredential("conversation", 1, admit) }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func BenchmarkChooseCredential(b *testing.B) {
	u := poolOf(b, "a:1", "b:2", "c:3")
	for b.Loop() {
		u.ChooseCredential("conversation", 1, nil)
	}
}

func TestScrubCoversThePool(t *testing.T) {
	t.Setenv("SECOND", "plain-second-secret")
	u := mustProvision(t, "mine", `{"base_url":"http://h","credentials":[
		{"type":"bearer","token":"plain-first-secret"},{"type":"header","name":"x-key","value":"{env.SECOND}"}],
		"health":{"path":"/","headers":{"X-Check":["{env.SECOND}"]}}}`)
	got := u.Scrub("first plain-first-secret, second plain-second-secret")
	if want := "first [hidden], second [hidden]"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestOverride(t *testing.T) {
	for _, tc := range []struct {
		name, upstream, config string
		format                 format.ID
		header, want           string
	}{
		{"in the place of the token", "openai", `{"allow_override":true,"credentials":[{"type":"bearer","token":"ours"}]}`, format.OpenAIChat, "Authorization", "Bearer theirs"},
		{"in the place of the header", "mine", `{"base_url":"http://h","allow_override":true,"credentials":[{"type":"header","name":"x-key","value":"ours"}]}`, format.OpenAIChat, "X-Key", "theirs"},
		{"in a header of that name", "mine", `{"base_url":"http://h","allow_override":true,"credentials":[{"type":"header","name":"authorization","value":"Bearer ours"}]}`, format.OpenAIChat, "Authorization", "Bearer theirs"},
		{"where the provider has it", "anthropic", `{"allow_override":true}`, format.AnthropicMessages, "X-Api-Key", "theirs"},
		{"a provider with tokens", "openrouter", `{"allow_override":true}`, format.AnthropicMessages, "Authorization", "Bearer theirs"},
		{"where Anthropic's format has it", "mine", `{"base_url":"http://h","formats":["anthropic_messages"],"allow_override":true}`, format.AnthropicMessages, "X-Api-Key", "theirs"},
		{"where Gemini's format has it", "mine", `{"base_url":"http://h","formats":["gemini"],"allow_override":true}`, format.Gemini, "X-Goog-Api-Key", "theirs"},
		{"where OpenAI's format has it", "mine", `{"base_url":"http://h","allow_override":true}`, format.OpenAIChat, "Authorization", "Bearer theirs"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, tc.upstream, tc.config)
			r := requestOf(t, u, &Call{Format: tc.format, Model: "m", Override: "theirs"})
			if got := r.Header.Get(tc.header); got != tc.want || !u.AllowsOverride() {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			for name, values := range r.Header {
				if strings.Contains(strings.Join(values, " "), "ours") {
					t.Errorf("%s holds our key too", name)
				}
			}
			if r := requestOf(t, u, &Call{Format: tc.format, Model: "m"}); strings.Contains(fmt.Sprint(r.Header), "theirs") {
				t.Error("the next request has the client's key")
			}
		})
	}
}

func TestOverrideRefused(t *testing.T) {
	for _, tc := range []struct{ name, config, override string }{
		{"not allowed", `{"credentials":[{"type":"bearer","token":"ours"}]}`, "theirs"},
		{"line break", `{"allow_override":true}`, "theirs\r\nX-Evil: 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u := mustProvision(t, "openai", tc.config)
			r, err := u.request(t.Context(), &Call{Format: format.OpenAIChat, Operation: format.OperationChat, Body: bodyOf("x"), Override: tc.override})
			if !errors.Is(err, ErrOverride) || r != nil || strings.Contains(err.Error(), "theirs") {
				t.Errorf("got %v, %v", r, err)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	const base = `{"base_url":"http://h","credentials":[{"type":"bearer","token":"secret-token","id":"a"}]`
	first := mustProvision(t, "mine", base+`}`).Identity()
	if len(first) != 32 || strings.Contains(first, "secret") {
		t.Errorf("got %q", first)
	}
	for _, tc := range []struct {
		name, config string
		same         bool
	}{
		{"again", base + `}`, true},
		{"other limits", base + `,"timeouts":{"idle":"7s"},"retries":0,"disabled":true}`, true},
		{"another weight", strings.Replace(base, `"id":"a"`, `"id":"a","weight":9`, 1) + `}`, true},
		{"another spelling of the address", strings.Replace(base, "http://h", "http://h/v1/", 1) + `}`, true},
		{"another address", strings.Replace(base, "http://h", "http://i", 1) + `}`, false},
		{"another secret", strings.Replace(base, "secret-token", "secret-tokem", 1) + `}`, false},
		{"another id", strings.Replace(base, `"id":"a"`, `"id":"b"`, 1) + `}`, false},
		{"another kind", strings.Replace(base, `"bearer","token"`, `"header","name":"x-key","value"`, 1) + `}`, false},
		{"another format", base + `,"formats":["anthropic_messages"]}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := mustProvision(t, "mine", tc.config).Identity(); (got == first) != tc.same {
				t.Errorf("got %s, first was %s", got, first)
			}
		})
	}
}

// A credential that tells no secret is known by its definition.
func TestIdentityOfOtherModules(t *testing.T) {
	u := mustProvision(t, "openai", `{"credentials":[{"type":"signing","id":"a"}]}`)
	r := requestOf(t, u, &Call{})
	if r.Header.Get("Signature") != "/v1/chat/completions" || r.Method != http.MethodPost {
		t.Errorf("got %v", r.Header)
	}
	if u.Identity() == mustProvision(t, "openai", `{}`).Identity() {
		t.Error("the credential does not count")
	}
}
