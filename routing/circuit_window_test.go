package routing

import (
	"slices"
	"sync"
	"testing"
)

func TestWindowRolls(t *testing.T) {
	var w window
	const start = 1 << 40
	for i := range int64(30) {
		w.add(start+i, oneAttempt)
		if i%2 == 0 {
			w.add(start+i, oneAttempt+oneFailed)
			w.add(start+i, oneAttempt+oneSlow)
		}
		parts := min(i+1, buckets)
		pairs := (i+2)/2 - max(0, i-buckets+2)/2
		attempts, failed, slow := w.counts(start + i)
		if int64(attempts) != parts+2*pairs || int64(failed) != pairs || int64(slow) != pairs {
			t.Fatalf("part %d: %d attempts, %d failed, %d slow; want %d, %d, %d", i, attempts, failed, slow, parts+2*pairs, pairs, pairs)
		}
	}
	if attempts, _, _ := w.counts(start + 29 + buckets); attempts != 0 {
		t.Errorf("%d attempts are left of long ago", attempts)
	}
	w.clear()
	if attempts, _, _ := w.counts(start + 29); attempts != 0 {
		t.Errorf("%d attempts are left after clear", attempts)
	}
}

// Counts that are full keep their ratio.
func TestWindowIsFull(t *testing.T) {
	var w window
	const n = 200_000
	for i := range n {
		what := uint64(oneAttempt)
		if i%4 == 0 {
			what += oneFailed
		}
		if i%2 == 0 {
			what += oneSlow
		}
		w.add(7, what)
	}
	attempts, failed, slow := w.counts(7)
	if attempts < nearFull/2 || attempts > fullCount {
		t.Errorf("%d attempts", attempts)
	}
	if got := float64(failed) / float64(attempts); got < 0.24 || got > 0.26 {
		t.Errorf("%g failed, want a quarter", got)
	}
	if got := float64(slow) / float64(attempts); got < 0.49 || got > 0.51 {
		t.Errorf("%g slow, want a half", got)
	}
}

func TestWindowIsShared(t *testing.T) {
	var w window
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 1000 {
				w.add(3, oneAttempt+oneFailed)
			}
		})
	}
	all.Wait()
	if attempts, failed, slow := w.counts(3); attempts != 8000 || failed != 8000 || slow != 0 {
		t.Errorf("%d attempts, %d failed, %d slow", attempts, failed, slow)
	}
}

func TestRing(t *testing.T) {
	var r ring[int]
	r.keep(3)
	for i, want := range [][]int{{0}, {0, 1}, {0, 1, 2}, {1, 2, 3}, {2, 3, 4}} {
		r.add(i)
		if got := r.list(); !slices.Equal(got, want) {
			t.Errorf("after %d: %v, want %v", i, got, want)
		}
	}
}
