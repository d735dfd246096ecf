package caddytest

import (
	"net/http"
	"runtime"
	"runtime/metrics"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/caddytest/provider"
)

// TestFault38Peak: unpacking an answer beyond all limits costs little memory, at no
// moment.
func TestFault38Peak(t *testing.T) {
	bomb := zipped(t, `{"choices":[{"message":{"content":"`+strings.Repeat("x", 160<<20))
	source := startProvider(t, provider.Status(200, bomb).Header("Content-Encoding", "gzip").Header("Content-Type", "application/json"))
	o := startOutage(t, source.URL(), "circuit off")
	before, peak := peakHeap(func() {
		for _, a := range everyone() {
			resp, body := a.ask(t, o.url, "alone")
			if resp.StatusCode != http.StatusBadGateway {
				t.Errorf("%s: %d %s", a.name(), resp.StatusCode, body)
			}
		}
	})
	t.Logf("the heap rose from %d to at most %d MiB", before>>20, peak>>20)
	if peak > before+memoryGrowth {
		t.Errorf("the heap rose from %d to %d MiB", before>>20, peak>>20)
	}
}

// peakHeap is how much the heap holds before something is done, and the most it held
// meanwhile, what is not yet collected included.
func peakHeap(do func()) (before, peak uint64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	look := func() uint64 {
		metrics.Read(sample)
		return sample[0].Value.Uint64()
	}
	runtime.GC()
	runtime.GC() // what pools held goes with the second
	before = look()
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		every := time.NewTicker(time.Millisecond)
		defer every.Stop()
		for {
			peak = max(peak, look())
			select {
			case <-done:
				return
			case <-every.C:
			}
		}
	})
	do()
	close(done)
	wg.Wait()
	return before, peak
}
