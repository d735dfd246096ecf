package routing

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// threeKeys is an upstream with three credentials, of which the last is drained, and
// one without any.
const threeKeys = `"a":{"base_url":"http://a","credentials":[
	{"type":"bearer","token":"k1","id":"one"},
	{"type":"bearer","token":"k2","id":"two"},
	{"type":"bearer","token":"k3","id":"three","weight":0}]},
	"b":{"base_url":"http://b"}`

// refuse ends an attempt because of its credential.
func (g *scene) refuse(p *Plan, a Admission, class Class) {
	c := a.Candidate
	a.Done(g.now, Outcome{Class: class})
	p.AnotherKey(c, a.Credential)
}

// asked are the sources and credentials that a request goes through if each of them
// fails because of its credential.
func (g *scene) asked(request Request, class Class) string {
	g.t.Helper()
	p := g.plan(request)
	var all []string
	for {
		a, ok := p.Admit(g.now, false)
		if !ok {
			g.idle()
			return strings.Join(all, " ")
		}
		all = append(all, strings.TrimSuffix(a.Candidate.Model+"/"+a.Credential, "/"))
		g.refuse(p, a, class)
	}
}

func TestAnotherKey(t *testing.T) {
	const backup = `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y","priority":2}]}`
	const siblings = `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"a","model":"y","priority":2}]}`
	override := strings.Replace(threeKeys, `"base_url"`, `"allow_override":true,"base_url"`, 1)
	single := `"a":{"base_url":"http://a","credentials":[{"type":"bearer","token":"k1","id":"one"}]},"b":{"base_url":"http://b"}`
	for _, tc := range []struct {
		name, upstreams, models string
		barred                  []string // credentials
		own                     bool     // the client sends its own
		want                    []string // any of them
	}{
		{"before the next priority, once", threeKeys, backup, nil, false, []string{"x/one x/two y", "x/two x/one y"}},
		{"the drained one", threeKeys, backup, []string{"two"}, false, []string{"x/one x/three y"}},
		{"none is left", threeKeys, backup, []string{"two", "three"}, false, []string{"x/one y"}},
		{"never twice", threeKeys, siblings, nil, false, []string{"x/one x/two y/three", "x/two x/one y/three"}},
		{"one credential", single, backup, nil, false, []string{"x/one y"}},
		{"the client's own", override, backup, nil, true, []string{"x y"}},
	} {
		for _, class := range []Class{ClassCredential, ClassExhausted, ClassThrottled} {
			t.Run(tc.name+", "+class.String(), func(t *testing.T) {
				g := newScene(t, tc.upstreams, tc.models)
				for _, id := range tc.barred {
					g.circuit(ScopeCredential, "a", "", id).Force(g.now, time.Time{}, "leaked", "ann")
				}
				request := chatRequest("m")
				request.Override = tc.own
				got := g.asked(request, class)
				for _, want := range tc.want {
					if got == want {
						return
					}
				}
				t.Errorf("asked %s, want %s", got, strings.Join(tc.want, " or "))
			})
		}
	}
}

// The failed credential is judged by its own circuit, and no other circuit is moved.
func TestAnotherKeyCounts(t *testing.T) {
	g := newScene(t, threeKeys, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
	g.circuit(ScopeCredential, "a", "", "two").Force(g.now, time.Time{}, "spare", "ann")
	for range 2 {
		p := g.plan(chatRequest("m"))
		first, _ := p.Admit(g.now, false)
		g.refuse(p, first, ClassCredential)
		second, ok := p.Admit(g.now, false)
		if !ok || first.Credential != "one" || second.Credential != "three" {
			t.Fatalf("asked with %q and %q (%t)", first.Credential, second.Credential, ok)
		}
		second.Done(g.now, Outcome{})
	}
	if got := g.circuit(ScopeCredential, "a", "", "one").View(g.now).State; got != CircuitOpen {
		t.Errorf("refused twice in a row, the credential's circuit is %s", got)
	}
	for _, c := range []*Circuit{
		g.circuit(ScopeCredential, "a", "", "three"), g.circuit(ScopeUpstream, "a", "", ""), g.circuit(ScopeUpstreamModel, "a", "x", ""),
	} {
		if got := c.View(g.now).State; got != CircuitClosed {
			t.Errorf("another circuit is %s", got)
		}
	}
}

// A conversation goes on with the credential that its next request gets as well.
func TestAnotherKeyOfAConversation(t *testing.T) {
	for i := range 50 {
		g := newScene(t, threeKeys, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
		request := chatRequest("m")
		request.Sticky = fmt.Sprintf("conversation %d", i)
		p := g.plan(request)
		first, _ := p.Admit(g.now, false)
		g.refuse(p, first, ClassExhausted) // which opens its circuit at once
		second, _ := p.Admit(g.now, false)
		second.Done(g.now, Outcome{})
		next, ok := g.plan(request).Admit(g.now, false)
		if !ok || next.Credential != second.Credential || next.Credential == first.Credential {
			t.Fatalf("%s: got %q, %q, and then %q", request.Sticky, first.Credential, second.Credential, next.Credential)
		}
		next.Done(g.now, Outcome{})
	}
}

// A credential on probation is no last attempt as long as a sure source is left.
func TestAnotherKeyAsProbe(t *testing.T) {
	for _, tc := range []struct {
		name string
		last bool
		want string
	}{
		{"more attempts to come", false, "x"},
		{"last attempt", true, "y"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			g := newScene(t, strings.Replace(pool, "}]}", `}]},"b":{"base_url":"http://b"}`, 1), `"m":{"sources":[{"upstream":"a","model":"x"},{"upstream":"b","model":"y","priority":2}]}`)
			spare := g.circuit(ScopeCredential, "a", "", "two")
			fail(g.now, spare)
			g.now = g.now.Add(spare.View(g.now).Until.Sub(g.now) + 1)
			p := g.plan(chatRequest("m"))
			first, ok := p.Admit(g.now, true)
			if !ok || first.Credential != "one" {
				t.Fatalf("asked with %q first", first.Credential)
			}
			g.refuse(p, first, ClassCredential)
			second, ok := p.Admit(g.now, tc.last)
			if !ok || second.Candidate.Model != tc.want || second.Probe() != (tc.want == "x") {
				t.Fatalf("got %+v, %t, want %s", second, ok, tc.want)
			}
			second.Cancel(g.now)
			g.idle()
		})
	}
}

// A repeat of the source after a failure of another kind does not go back to the
// credential that has failed.
func TestAgainSparesTheFailedKey(t *testing.T) {
	for range 50 {
		g := newScene(t, threeKeys, `"m":{"sources":[{"upstream":"a","model":"x"}]}`)
		g.r = new(Router) // draws otherwise each time
		p := g.plan(chatRequest("m"))
		first, _ := p.Admit(g.now, false)
		g.refuse(p, first, ClassCredential)
		second, _ := p.Admit(g.now, false)
		c := second.Candidate
		second.Done(g.now, Outcome{Class: ClassServer, Status: 500})
		again, ok := p.Again(c, g.now)
		if !ok || again.Credential == first.Credential {
			t.Fatalf("asked with %q after %q was refused (%t)", again.Credential, first.Credential, ok)
		}
		again.Cancel(g.now)
		g.idle()
	}
}

// TestAnotherKeyProperties draws pools, sources and failures: no request sends a
// credential again that has failed it, none asks a source more than twice, and each
// place is given back.
func TestAnotherKeyProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var upstreams, sources []string
		for i := range rapid.IntRange(1, 3).Draw(rt, "upstreams") {
			var keys []string
			for k := range rapid.IntRange(2, 4).Draw(rt, "keys") {
				keys = append(keys, fmt.Sprintf(`{"type":"bearer","token":"t%d","weight":%d}`, k, rapid.IntRange(0, 3).Draw(rt, "weight")))
			}
			upstreams = append(upstreams, fmt.Sprintf(`"u%d":{"base_url":"http://h","credentials":[%s]}`, i, strings.Join(keys, ",")))
			for s := range rapid.IntRange(1, 3).Draw(rt, "sources") {
				sources = append(sources, fmt.Sprintf(`{"upstream":"u%d","model":"m%d","priority":%d}`, i, s, rapid.IntRange(1, 2).Draw(rt, "priority")))
			}
		}
		g := newScene(t, strings.Join(upstreams, ","), `"m":{"sources":[`+strings.Join(sources, ",")+`]}`)
		p := g.plan(chatRequest("m"))
		failed, asked := map[string]bool{}, map[*Candidate]int{}
		for {
			a, ok := p.Admit(g.now, rapid.Bool().Draw(rt, "last"))
			if !ok {
				break
			}
			c := a.Candidate
			key := c.Upstream.Name() + "/" + a.Credential
			if asked[c]++; failed[key] || asked[c] > 2 {
				rt.Fatalf("%s is asked with %s, for the %d. time", c.Source.ID(), key, asked[c])
			}
			class := rapid.SampledFrom([]Class{ClassCredential, ClassExhausted, ClassThrottled, ClassServer}).Draw(rt, "class")
			a.Done(g.now, Outcome{Class: class})
			if class != ClassServer {
				failed[key] = true
				p.AnotherKey(c, a.Credential)
			}
		}
		g.idle()
	})
}
