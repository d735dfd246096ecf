package upstream

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawPool draws a pool of credentials.
func drawPool(t *rapid.T) *Upstream {
	u := new(Upstream)
	for _, id := range rapid.SliceOfNDistinct(rapid.StringMatching(`[a-z0-9]{1,6}`), 1, 6, rapid.ID).Draw(t, "ids") {
		entry := pooled{CredentialRef: CredentialRef{ID: id, Weight: rapid.IntRange(0, 9).Draw(t, "weight")}, hash: hashOf(id)}
		if rapid.IntRange(0, 4).Draw(t, "empty") == 0 {
			entry.Missing = "{env.NO_SUCH}"
		}
		u.pool = append(u.pool, entry)
	}
	return u
}

// drawAdmitted draws which credentials are admitted.
func drawAdmitted(t *rapid.T, u *Upstream) func(id string) bool {
	barred := map[string]bool{}
	for _, entry := range u.pool {
		barred[entry.ID] = rapid.IntRange(0, 3).Draw(t, "barred") == 0
	}
	return func(id string) bool { return !barred[id] }
}

// usable are the credentials among which the choice is: those of weight 0 only if no
// other is left. The second is their weight together.
func usable(u *Upstream, admit func(string) bool) (refs []CredentialRef, weight int) {
	for _, ref := range u.Credentials() {
		if ref.Missing == "" && admit(ref.ID) {
			refs = append(refs, ref)
			weight += ref.Weight
		}
	}
	if weight > 0 {
		refs = slices.DeleteFunc(refs, func(ref CredentialRef) bool { return ref.Weight == 0 })
	}
	return refs, weight
}

// TestChoiceProperties shows that what is chosen is admitted; that a conversation keeps
// its credential whatever becomes of the others, and whatever their order, and comes
// back to it; and that each credential is asked about once.
func TestChoiceProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := drawPool(t)
		admit := drawAdmitted(t, u)
		conversation := rapid.StringN(1, 20, -1).Draw(t, "conversation")
		asked := map[string]int{}
		id, ok := u.ChooseCredential(conversation, rapid.Uint64().Draw(t, "seed"), func(id string) bool {
			asked[id]++
			return admit(id)
		})
		refs, _ := usable(u, admit)
		if ok != (len(refs) > 0) || ok != slices.ContainsFunc(refs, func(ref CredentialRef) bool { return ref.ID == id }) {
			t.Fatalf("chose %q, %t among %+v", id, ok, refs)
		}
		for id, times := range asked {
			if times > 1 {
				t.Fatalf("asked %d times about %s", times, id)
			}
		}
		if !ok {
			return
		}
		other := &Upstream{pool: rapid.Permutation(u.pool).Draw(t, "order")}
		bystander := rapid.SampledFrom(u.Credentials()).Draw(t, "barred meanwhile").ID
		without := func(id string) bool { return admit(id) && id != bystander }
		if again, _ := other.ChooseCredential(conversation, rapid.Uint64().Draw(t, "seed"), without); again != id && bystander != id {
			t.Fatalf("%s moved from %s to %s because of %s", conversation, id, again, bystander)
		}
		if back, _ := other.ChooseCredential(conversation, 0, admit); back != id {
			t.Fatalf("%s did not come back to %s but to %s", conversation, id, back)
		}
	})
}

// TestChoiceWeightProperties shows that credentials are chosen as often as their
// weights say, within 4 points; by as many draws that chance cannot fail the test.
func TestChoiceWeightProperties(t *testing.T) {
	const draws, tolerance = 10_000, 4.0
	rapid.Check(t, func(t *rapid.T) {
		u := drawPool(t)
		admit := drawAdmitted(t, u)
		refs, weight := usable(u, admit)
		// Conversations and requests without one are spread alike.
		sticky := rapid.Bool().Draw(t, "sticky")
		random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "first seed"), 1))
		counts := map[string]int{}
		for range draws {
			conversation, seed := "", random.Uint64()
			if sticky {
				conversation, seed = fmt.Sprint(seed), 0
			}
			if id, ok := u.ChooseCredential(conversation, seed, admit); ok {
				counts[id]++
			}
		}
		for _, ref := range refs {
			want := 100 / float64(len(refs)) // if all are drained
			if weight > 0 {
				want = 100 * float64(ref.Weight) / float64(weight)
			}
			if got := 100 * float64(counts[ref.ID]) / draws; math.Abs(got-want) > tolerance {
				t.Errorf("%s of weight %d in %d: got %.1f %%, want %.1f %%", ref.ID, ref.Weight, weight, got, want)
			}
		}
	})
}
