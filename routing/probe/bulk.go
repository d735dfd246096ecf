package probe

import (
	"context"
	"slices"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// How many probes run at the same time: in all, and of one upstream where several
// models are probed, so that nobody's rate limit is used up.
const (
	atOnce           = 4
	atOnceAtUpstream = 2
)

// job is the probe of a source, or a result that needs none.
type job struct {
	prober *Prober
	model  string
	trial  *routing.Trial // nil if the result is ready
	ready  Result
}

// upstream is the name of what the job calls; "" if it calls nothing.
func (j *job) upstream() string {
	if j.trial == nil {
		return ""
	}
	return j.trial.Candidate.Upstream.Name()
}

// run does the job.
func (j *job) run(ctx context.Context) Result {
	if j.trial == nil {
		return j.ready
	}
	return j.prober.probe(ctx, j.model, j.trial)
}

// cancelled is the result of a job that was not begun.
func (j *job) cancelled() Result {
	if j.trial == nil {
		return j.ready
	}
	r := newResult(j.model, j.trial)
	r.Result, r.Code, r.Message, r.At = Failed, CodeCancelled, "the probe was cancelled", time.Now()
	return r
}

// run does the jobs, in their order as far as the limits allow: four at a time, and
// not more than perUpstream of one upstream. It tells of each as it ends, with its
// index and on the caller's goroutine. When the context ends it begins no more, and
// returns when those under way have ended.
func run(ctx context.Context, jobs []job, perUpstream int, each func(i int, r Result)) {
	type ended struct {
		i int
		r Result
	}
	done := make(chan ended, atOnce) // so that no goroutine waits for a caller that is gone
	pending := make([]int, len(jobs))
	for i := range jobs {
		pending[i] = i
	}
	running, at := 0, make(map[string]int)
	startable := func(i int) bool {
		name := jobs[i].upstream()
		return name == "" || at[name] < perUpstream
	}
	for {
		for running < atOnce && ctx.Err() == nil {
			next := slices.IndexFunc(pending, startable)
			if next < 0 {
				break
			}
			i := pending[next]
			pending = slices.Delete(pending, next, next+1)
			running++
			at[jobs[i].upstream()]++
			go func() { done <- ended{i, jobs[i].run(ctx)} }()
		}
		if running == 0 {
			return
		}
		e := <-done
		running--
		at[jobs[e.i].upstream()]--
		each(e.i, e.r)
	}
}
