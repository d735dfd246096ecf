package probe

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// defaultTimeout is how long a probe may take.
const defaultTimeout = 30 * time.Second

// Prober asks sources a short question. What the circuits say does not keep it
// from asking, and another source is never asked instead. The zero value is ready
// for use; it is not changed while it is used, and then safe for concurrent use.
type Prober struct {
	// Timeout is how long the probe of one source may take. Default: 30s.
	Timeout time.Duration
	// Record makes the probes count like requests: a success closes a circuit that
	// is half open or has opened by itself, a failure may open one. The question is
	// then repeated until the circuit closes, as often as its policy demands, but at
	// most ten times. Default: false, nothing that is observed changes.
	Record bool
	// Debug keeps what was sent and what came. Default: false.
	Debug bool
}

// timeout is the effective limit.
func (p *Prober) timeout() time.Duration {
	if p.Timeout <= 0 {
		return defaultTimeout
	}
	return p.Timeout
}

// Source probes one source of a model, also one that is disabled, or not the
// active one of a pinned model. A disabled upstream is not called.
func (p *Prober) Source(ctx context.Context, s *routing.Snapshot, model, sourceID string) Result {
	trials, ok := s.Trials(model)
	if !ok {
		return unknownModel(model)
	}
	for _, t := range trials {
		if t.Candidate.Source.ID() == sourceID {
			return p.probe(ctx, model, t)
		}
	}
	return notFound(model, sourceID, fmt.Sprintf("the model has no source %q", format.Bounded(sourceID, maxMessage/2)))
}

// Model probes the first source, by priority and then as they are listed, that the
// configuration lets requests use, whatever the circuits say. If all is set it
// probes every source instead, four at a time; those that are disabled are told of
// and not called. The results are in the order of the sources; there is always one.
func (p *Prober) Model(ctx context.Context, s *routing.Snapshot, model string, all bool) []Result {
	jobs := p.jobs(s, model, all)
	results := make([]Result, len(jobs))
	run(ctx, jobs, atOnce, func(i int, r Result) { results[i] = r })
	for i := range results {
		if results[i].Result == "" { // it was never begun
			results[i] = jobs[i].cancelled()
		}
	}
	return results
}

// Bulk probes several models, each like Model does, four sources at a time and two
// of one upstream. The function each is called for each result as it comes, on the
// caller's goroutine. When the context ends, no further probe is begun, those
// under way are given up, and each is not told of them. A model that is named
// twice is probed once.
func (p *Prober) Bulk(ctx context.Context, s *routing.Snapshot, models []string, all bool, each func(Result)) Summary {
	var jobs []job
	seen := make(map[string]bool, len(models))
	for _, model := range models {
		if !seen[model] {
			seen[model] = true
			jobs = append(jobs, p.jobs(s, model, all)...)
		}
	}
	var sum Summary
	run(ctx, jobs, atOnceAtUpstream, func(_ int, r Result) {
		if r.Code == CodeCancelled {
			return
		}
		sum.add(&r)
		each(r)
	})
	return sum
}

// jobs are the probes of a model.
func (p *Prober) jobs(s *routing.Snapshot, model string, all bool) []job {
	trials, ok := s.Trials(model)
	if !ok {
		return []job{{ready: unknownModel(model)}}
	}
	var jobs []job
	for _, t := range trials {
		j := job{prober: p, model: model, trial: t}
		off := t.Off == routing.CauseDisabled || t.Off == routing.CauseUnconfigured
		switch {
		case all && off:
			jobs = append(jobs, job{ready: unused(model, t)})
		case all:
			jobs = append(jobs, j)
		case t.Off == routing.CauseNone:
			return []job{j}
		}
	}
	switch {
	case len(jobs) > 0:
		return jobs
	case len(trials) == 0:
		return []job{{ready: notFound(model, "", "the model has no source")}}
	default:
		return []job{{ready: unused(model, trials[0])}}
	}
}

func unknownModel(model string) Result {
	return notFound(model, "", fmt.Sprintf("there is no model %q", format.Bounded(model, maxMessage/2)))
}

// unused is the result of a source that the configuration keeps out of use.
func unused(model string, t *routing.Trial) Result {
	r := newResult(model, t)
	r.Result, r.Code, r.Message = Failed, CodeDisabled, "the source "+t.Reason
	if t.Off == routing.CauseUnconfigured {
		r.Code = CodeNotConfigured
	}
	return r
}

// mostRepeats bounds the probes of one source that are made to close a circuit.
const mostRepeats = 10

// probe asks one source.
func (p *Prober) probe(ctx context.Context, model string, t *routing.Trial) Result {
	c := t.Candidate
	r := newResult(model, t)
	wanted := c.Serves.Model.Operations
	if len(wanted) == 0 {
		wanted = upstream.OperationsByName(c.Model)
	}
	f, op, ok := operationOf(c.Upstream, c.Format, wanted)
	if !ok {
		r.Format, r.Result, r.Code = f, Unsupported, CodeUnsupportedOperation
		r.Message = "the source serves neither conversations nor embeddings; other requests are not made, for they cost more"
		return r
	}
	r.Format = f
	ctx, cancel := context.WithTimeout(ctx, p.timeout())
	defer cancel()
	r.Credential = t.Credential(r.At)
	a := &ask{
		upstream: c.Upstream, format: f, operation: op, target: c.Target, credential: r.Credential, own: c.Source.Header(),
		stream: op == format.OperationChat, debugging: p.Debug,
	}
	if !p.Record {
		r.take(a, a.run(ctx))
		return r
	}
	for i := range mostRepeats {
		failed := p.recorded(ctx, t, a, i > 0)
		if i > 0 && failed != nil && ctx.Err() != nil {
			break // it was cut short, and what came before stands
		}
		r.take(a, failed)
		if failed != nil || !t.HalfOpen(time.Now(), r.Credential) {
			break
		}
	}
	return r
}

// recorded makes one call that counts. A repeat that the end of the probe cuts short
// does not: it had no more than what the calls before have left of the time.
func (p *Prober) recorded(ctx context.Context, t *routing.Trial, a *ask, repeat bool) *failure {
	record := t.Record(time.Now(), a.credential, p.timeout())
	f := a.run(ctx)
	now := time.Now()
	switch {
	case f == nil:
		latency := a.latency
		if a.firstToken > 0 {
			latency = a.firstToken
		}
		record.Done(now, routing.Outcome{Class: routing.ClassOK, Status: a.status, Latency: latency, Stream: a.streamed})
	case f.own, repeat && ctx.Err() != nil:
		record.Cancel(now)
	default:
		record.Done(now, routing.Outcome{
			Class: f.class, Status: f.status, RetryAfter: f.wait, Latency: a.latency, Stream: a.stream,
		})
	}
	return f
}

// take notes how the calls have ended; f is nil after a success.
func (r *Result) take(a *ask, f *failure) {
	r.Endpoint, r.Status = a.endpoint, a.status
	r.LatencyMS, r.FirstTokenMS = milliseconds(a.latency), milliseconds(a.firstToken)
	if a.usage.Known {
		r.Tokens = &Tokens{Input: a.usage.Prompt(), Output: a.usage.Output}
	}
	if a.debugging {
		r.Debug = a.debug()
	}
	r.Result, r.Code, r.Message = Usable, "", ""
	if f != nil {
		r.Result, r.Code, r.Message = f.verdict(), f.code, f.message
	}
}

// milliseconds rounds up, so that what was measured is never 0.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// operationOf chooses the format and the operation by which a source is probed.
// The spoken format is that of its definition, "" if that leaves the choice; wanted
// are the operations that the model is for, as far as is known. It is false for what
// serves neither conversations nor embeddings.
func operationOf(u *upstream.Upstream, spoken format.ID, wanted []format.Operation) (format.ID, format.Operation, bool) {
	if spoken != "" {
		for _, op := range probed {
			if upstream.Serves(spoken, op) {
				return spoken, op, true
			}
		}
		return spoken, "", false
	}
	isServed := func(op format.Operation) bool {
		_, ok := u.FormatFor("", op)
		return ok
	}
	if i := slices.IndexFunc(wanted, isServed); i >= 0 {
		for _, op := range probed {
			if slices.Contains(wanted, op) && isServed(op) {
				f, _ := u.FormatFor("", op)
				return f, op, true
			}
		}
		f, _ := u.FormatFor("", wanted[i])
		return f, wanted[i], false
	}
	for _, op := range probed {
		if f, ok := u.FormatFor("", op); ok {
			return f, op, true
		}
	}
	return u.Spoken()[0], "", false
}

// probed are the operations that a probe may ask for, because they cost next to
// nothing.
var probed = [...]format.Operation{format.OperationChat, format.OperationEmbed}
