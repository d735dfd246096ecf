package routing

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
)

func TestIPHash(t *testing.T) {
	s, r := snapshot(t, "", abc(`"policy":{"policy":"ip_hash"},`, 50, 30, 20)), seeded()
	favourites := make([]string, 2000)
	counts := map[string]int{}
	for i := range favourites {
		order := drawn(t, r, s, byAddress(i))
		favourites[i] = order[0]
		counts[order[0]]++
		if again := drawn(t, r, s, byAddress(i)); !slices.Equal(order, again) {
			t.Fatalf("address %d: got %v, then %v", i, order, again)
		}
	}
	within(t, counts, 4, map[string]float64{"x": 50, "y": 30, "z": 20})

	// Without z only its own clients move.
	fewer := snapshot(t, "", `"m":{"policy":{"policy":"ip_hash"},"sources":[{"upstream":"a","model":"x","weight":50},{"upstream":"b","model":"y","weight":30}]}`)
	for i, favourite := range favourites {
		if got := drawn(t, r, fewer, byAddress(i))[0]; favourite != "z" && got != favourite {
			t.Fatalf("address %d: moved from %s to %s", i, favourite, got)
		}
	}
	// Clients whose address is not known are drawn by weight.
	within(t, firsts(t, r, s, 2000, same), 4, map[string]float64{"x": 50, "y": 30, "z": 20})
}

func TestHeaderHash(t *testing.T) {
	s, r := snapshot(t, "", abc(`"policy":{"policy":"header_hash","header":"x-session"},`, 1, 1, 1)), seeded()
	session := func(id string) Request {
		request := chatRequest("m")
		request.Header = http.Header{"X-Session": {id}}
		request.Sticky = "not this"
		return request
	}
	seen := map[string]bool{}
	for i := range 30 {
		id := fmt.Sprint("session ", i)
		counts := firsts(t, r, s, 50, func(int) Request { return session(id) })
		if len(counts) != 1 {
			t.Errorf("%s: got %v", id, counts)
		}
		maps.Copy(seen, map[string]bool{slices.Collect(maps.Keys(counts))[0]: true})
	}
	if len(seen) != 3 {
		t.Errorf("all sessions are at %v", seen)
	}
	within(t, firsts(t, r, s, 2000, same), 4, map[string]float64{"x": 100. / 3, "y": 100. / 3, "z": 100. / 3})
}

func TestStickyHeader(t *testing.T) {
	s, r := snapshot(t, "", abc(`"sticky_header":"x-session","policy":{"policy":"round_robin"},`, 1, 1, 1)), seeded()
	request := func(header, hint string) func(int) Request {
		return func(int) Request {
			q := chatRequest("m")
			q.Header, q.Sticky = http.Header{"X-Session": {header}}, hint
			if header == "" {
				q.Header = nil
			}
			return q
		}
	}
	if counts := firsts(t, r, s, 50, request("one", "other")); len(counts) != 1 {
		t.Errorf("with the header: got %v", counts)
	}
	if counts := firsts(t, r, s, 50, request("", "hint")); len(counts) != 1 {
		t.Errorf("with a hint: got %v", counts)
	}
	if counts := firsts(t, r, s, 51, request("", "")); counts["x"] != 17 || counts["y"] != 17 || counts["z"] != 17 {
		t.Errorf("without a key the policy decides: got %v", counts)
	}
	plain := snapshot(t, "", abc("", 1, 1, 1))
	if counts := firsts(t, r, plain, 50, request("one", "hint")); len(counts) != 3 {
		t.Errorf("a model without a sticky header takes no key: got %v", counts)
	}
}
