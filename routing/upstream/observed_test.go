package upstream

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestMaxConcurrency(t *testing.T) {
	u := mustProvision(t, "openai", `{"max_concurrency":2}`)
	for i := range 2 {
		if !u.TryAcquire() {
			t.Fatalf("place %d was not given", i)
		}
	}
	if u.TryAcquire() {
		t.Error("a third place was given")
	}
	if got := u.InFlight(); got != 2 {
		t.Errorf("got %d under way", got)
	}
	u.Release()
	if !u.TryAcquire() {
		t.Error("the place that was given back was not given again")
	}
	free := mustProvision(t, "openai", `{}`)
	for range 1000 {
		if !free.TryAcquire() {
			t.Fatal("refused without a limit")
		}
	}
	if n := testing.AllocsPerRun(100, func() { free.TryAcquire(); free.Release() }); n != 0 {
		t.Errorf("got %v allocations", n)
	}
}

func TestMaxConcurrencyUnderLoad(t *testing.T) {
	const places = 3
	u := mustProvision(t, "openai", `{"max_concurrency":3}`)
	var inside, most, served atomic.Int64
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range 2000 {
				if !u.TryAcquire() {
					continue
				}
				n := inside.Add(1)
				for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
				}
				served.Add(1)
				inside.Add(-1)
				u.Release()
			}
		})
	}
	group.Wait()
	if most.Load() > places || served.Load() == 0 || u.InFlight() != 0 {
		t.Errorf("at most %d at once, %d served, %d left", most.Load(), served.Load(), u.InFlight())
	}
}

func TestRetries(t *testing.T) {
	for config, want := range map[string]int{`{}`: 1, `{"retries":0}`: 0, `{"retries":1}`: 1} {
		if got := mustProvision(t, "openai", config).MaxRetries(); got != want {
			t.Errorf("%s: got %d, want %d", config, got, want)
		}
	}
}

// A reload keeps what was observed, as far as it is about the same.
func TestAdopt(t *testing.T) {
	const checked = `{"base_url":"http://h","max_concurrency":2,"health":{"path":"/"}}`
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, tc := range []struct {
		name, next string
		unhealthy  bool
	}{
		{"the same", checked, true},
		{"other limits", `{"base_url":"http://h","max_concurrency":9,"retries":0,"health":{"path":"/"}}`, true},
		{"another address", `{"base_url":"http://i","health":{"path":"/"}}`, false},
		{"other checks", `{"base_url":"http://h","health":{"models":true}}`, false},
		{"no checks", `{"base_url":"http://h"}`, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			kept := new(Observed)
			before := mustProvision(t, "mine", checked)
			before.Adopt(kept)
			before.TryAcquire()
			for range 3 {
				before.state.record(at, "status 500", before.health)
			}
			after := mustProvision(t, "mine", tc.next)
			if after.Unhealthy() {
				t.Fatal("unhealthy before it has adopted anything")
			}
			after.Adopt(kept)
			if after.Unhealthy() != tc.unhealthy || after.HealthView().Unhealthy != tc.unhealthy {
				t.Errorf("got %+v", after.HealthView())
			}
			if !before.Unhealthy() {
				t.Error("the old one lost its mark")
			}
			if before.Release(); after.InFlight() != 0 {
				t.Errorf("got %d under way", after.InFlight())
			}
		})
	}
}

func TestOptionErrors(t *testing.T) {
	for _, tc := range []struct{ name, option, want string }{
		{"negative retries", `"retries":-1`, `retries: must be 0 or 1, not -1`},
		{"many retries", `"retries":2`, `retries: must be 0 or 1, not 2: no request repeats a source more often`},
		{"negative concurrency", `"max_concurrency":-1`, `max_concurrency: must not be negative; 0 is no limit`},
		{"huge concurrency", `"max_concurrency":1000001`, `max_concurrency: must not be over 1000000`},
		{"circuit", `"circuit":{"error_rate":101}`, `circuit.error_rate: must be between 1 and 100`},
		{"two kinds of check", `"health":{"models":true,"probe":"m"}`, `health.path, models and probe exclude each other`},
		{"relative path", `"health":{"path":"health"}`, `health.path: must start with /`},
		{"path to another host", `"health":{"path":"//evil"}`, `health.path: must not start with //, which names another host`},
		{"short interval", `"health":{"interval":"999ms"}`, `health.interval: must be from 1s to 24h0m0s`},
		{"negative interval", `"health":{"interval":"-5s"}`, `health.interval: must be from 1s to 24h0m0s`},
		{"long interval", `"health":{"interval":"25h"}`, `health.interval: must be from 1s to 24h0m0s`},
		{"negative timeout", `"health":{"timeout":"-1s"}`, `health.timeout: must not be negative`},
		{"timeout over the interval", `"health":{"timeout":"31s"}`, `health.timeout: must not be longer than the interval, which is 30s`},
		{"negative count", `"health":{"healthy":-1}`, `health.healthy: must be a number from 1 to 100`},
		{"large count", `"health":{"unhealthy":101}`, `health.unhealthy: must be a number from 1 to 100`},
		{"class of status", `"health":{"status":"1xx"}`, `health.status: "1xx" is neither a status from 200 to 599 nor a class such as 2xx`},
		{"status", `"health":{"status":"20"}`, `health.status: "20" is neither`},
		{"status with a sign", `"health":{"status":"+20"}`, `health.status: "+20" is neither`},
		{"header with a key", `"health":{"headers":{"Authorization":["x"]}}`, `health.headers.Authorization: cannot be set: it carries a key`},
		{"probe without a chat format", `"formats":["openai_embeddings"],"health":{"probe":"m"}`, `health.probe: the upstream speaks no chat format`},
		{"unknown list of models", `"formats":["openai_chat"],"format_paths":{"openai_chat":"/ask"},"health":{}`, `health.models: the address of the list does not follow from format_paths; use path`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if _, err := provision(t, "openai", `{`+tc.option+`}`); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}
