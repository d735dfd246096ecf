package handler

import (
	"math"
	"runtime"
	"testing"
	"time"
)

func TestMemoryGuard(t *testing.T) {
	const limit = 1000
	var held uint64
	var looks, collections int
	g := newMemoryGuard(limit, func() uint64 { looks++; return held }, func() { collections++ })
	at := g.began
	for _, step := range []struct {
		name               string
		after              time.Duration
		held               uint64
		refuses            bool
		looks, collections int
	}{
		{"little is held", 0, 899, false, 1, 0},
		{"the look still counts", overloadLook - 1, 900, false, 1, 0},
		{"much is held", 1, 900, true, 2, 1},
		{"still", overloadLook, 2000, true, 3, 1},
		{"a second later", overloadCollect, 950, true, 4, 2},
		{"the streams have ended", overloadLook, 100, false, 5, 2},
		{"and all is well", overloadCollect, 100, false, 6, 2},
	} {
		at, held = at.Add(step.after), step.held
		if got := g.refuses(at); got != step.refuses || looks != step.looks || collections != step.collections {
			t.Errorf("%s: refuses %v after %d looks and %d collections, want %v, %d, %d",
				step.name, got, looks, collections, step.refuses, step.looks, step.collections)
		}
	}
}

func TestMemoryGuardWithoutALimit(t *testing.T) {
	g := newMemoryGuard(math.MaxInt64, func() uint64 { t.Error("it looks"); return math.MaxUint64 }, func() {})
	if g.refuses(time.Now()) {
		t.Error("it refuses")
	}
}

// What is reachable is held, and what is not is not.
func TestHeld(t *testing.T) {
	const size = 64 << 20
	runtime.GC()
	before := held()
	block := make([]byte, size)
	for i := 0; i < size; i += 4096 {
		block[i] = 1
	}
	runtime.GC()
	with := held()
	runtime.KeepAlive(block)
	block = nil
	runtime.GC()
	runtime.GC()
	after := held()
	if with < before+size*9/10 || after > before+size/10 {
		t.Errorf("%d bytes are held before %d, %d with them and %d after", before, size, with, after)
	}
}

func BenchmarkMemoryGuard(b *testing.B) {
	g := newMemoryGuard(1<<40, held, func() {})
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if g.refuses(time.Now()) {
				b.Error("it refuses")
				return
			}
		}
	})
}
