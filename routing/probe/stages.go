package probe

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

// The stages of the test of an upstream, in their order.
const (
	// StageConnectivity: a connection can be made, with TLS if the address says so.
	StageConnectivity = "connectivity"
	// StageAuthentication: the credential is not refused.
	StageAuthentication = "authentication"
	// StageFormat: a short question is answered in the declared format.
	StageFormat = "format"
)

// The results of a stage.
const (
	StageOK      = "ok"
	StageFailed  = "failed"
	StageSkipped = "skipped"
)

// Stage is what became of one stage.
type Stage struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Code   Code   `json:"code,omitempty"`
	// Message says what went wrong, or why the stage was skipped.
	Message string `json:"message,omitempty"`
	// LatencyMS is in milliseconds; 0 for a stage that was skipped.
	LatencyMS int64 `json:"latency_ms"`
	// Endpoint is the method and the URL that was asked, without the query.
	Endpoint string `json:"endpoint,omitempty"`
}

// StageResult is what the test of an upstream has found.
type StageResult struct {
	// Stages are always three; behind one that failed all are skipped.
	Stages []Stage `json:"stages"`
	// Models is how many models the service lists; 0 if it lists none.
	Models int `json:"models"`
	// Names are their names as the service lists them, 1000 at most.
	Names []string `json:"names,omitempty"`
}

const (
	// stageTime is how long the test of an upstream takes at most.
	stageTime = 10 * time.Second
	// mostModels bounds the listed models that are asked: some cannot be used in the
	// format.
	mostModels = 3
	// noModel is asked for where no model is known, to see whether the credential is
	// taken before the model is looked for.
	noModel = "no-such-model"
)

// TestUpstream finds out how far a provisioned upstream works that need not be part
// of a snapshot: whether it can be reached, takes the credential, and answers in its
// format. The model is the one that is asked the question; without it that is the
// first listed one that seems to be for conversations. It takes ten seconds at most,
// and changes nothing that is observed.
func TestUpstream(ctx context.Context, u *upstream.Upstream, model string) StageResult {
	ctx, cancel := context.WithTimeout(ctx, stageTime)
	defer cancel()
	t := &test{upstream: u, model: model, stages: []Stage{
		{Name: StageConnectivity, Result: StageSkipped},
		{Name: StageAuthentication, Result: StageSkipped},
		{Name: StageFormat, Result: StageSkipped},
	}}
	t.run(httptrace.WithClientTrace(ctx, t.conn.trace()))
	return StageResult{Stages: t.stages, Models: len(t.listing.Models), Names: t.names()}
}

// mostNames is how many listed models are named.
const mostNames = 1000

// names are those of the listed models.
func (t *test) names() []string {
	var names []string
	for _, m := range t.listing.Models[:min(len(t.listing.Models), mostNames)] {
		names = append(names, m.ID)
	}
	return names
}

// test is the test of an upstream.
type test struct {
	upstream *upstream.Upstream
	model    string
	stages   []Stage
	conn     connection
	listing  upstream.Listing
}

func (t *test) connectivity() *Stage   { return &t.stages[0] }
func (t *test) authentication() *Stage { return &t.stages[1] }
func (t *test) format() *Stage         { return &t.stages[2] }

// run goes through the stages.
func (t *test) run(ctx context.Context) {
	if reason := t.upstream.Unavailable(); reason != "" {
		f := &failure{code: CodeNotConfigured, message: "the upstream is " + reason}
		if t.upstream.Disabled {
			f.code = CodeDisabled
		}
		t.connectivity().fail(f)
		return
	}
	if !t.list(ctx) {
		return
	}
	models := t.models()
	if len(models) == 0 && t.authentication().Result == StageOK {
		t.format().Message = "no model was named, and none is listed that seems to be for conversations"
		return
	}
	t.question(ctx, models)
}

// list asks for the list of models. It is false if that has shown that the question
// cannot be asked. What the list does not decide is left to the question.
func (t *test) list(ctx context.Context) bool {
	began := time.Now()
	var err error
	t.listing, err = t.upstream.ListModels(ctx)
	took := time.Since(began)
	problem, _ := errors.AsType[*upstream.ListError](err)
	if problem == nil {
		problem = new(upstream.ListError) // there is none, or the context has ended
	}
	if problem.Problem == upstream.ListUnavailable {
		return true // nothing was sent
	}
	endpoint := t.upstream.ListAddress()
	t.connectivity().Endpoint, t.authentication().Endpoint = endpoint, endpoint
	if err != nil && problem.Status == 0 && !t.conn.isMade() {
		t.connectivity().LatencyMS = milliseconds(took)
		t.connectivity().fail(t.unconnected(ctx, err))
		return false
	}
	t.connectivity().Result, t.connectivity().LatencyMS = StageOK, milliseconds(t.conn.time(took))
	t.authentication().LatencyMS = milliseconds(took)
	if err == nil {
		t.authentication().Result = StageOK
		return true
	}
	if f := t.refused(ctx, problem, err); f != nil {
		t.authentication().fail(f)
		return false
	}
	return true
}

// refused is the failure that a list which could not be had amounts to; nil if it
// says nothing about the credential.
func (t *test) refused(ctx context.Context, problem *upstream.ListError, err error) *failure {
	f := &failure{message: scrubbed(t.upstream, err.Error())}
	switch status := problem.Status; {
	case ctx.Err() != nil:
		return interrupted(ctx)
	case status == http.StatusForbidden && t.model != "":
		return nil // the credential may be for conversations only
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		f.code = CodeAuthFailed
	case status == http.StatusPaymentRequired:
		f.code = CodeQuotaExhausted
	case status != 0:
		return nil
	case problem.Problem == upstream.ListTimeout:
		f.code = CodeTimeout
	case problem.Problem == upstream.ListNotAList:
		f.code = CodeResponseIncompatible
	default:
		f.code = CodeNetworkError
	}
	return f
}

// models are the models that may be asked: the one that was named, or the first
// listed ones that are for conversations, those that are known to be before those of
// which nothing is known.
func (t *test) models() []string {
	if t.model != "" {
		return []string{t.model}
	}
	var known, other []string
	for i := range t.listing.Models {
		m := &t.listing.Models[i]
		switch {
		case slices.Contains(m.Operations, format.OperationChat):
			known = append(known, m.ID)
		case len(m.Operations) == 0 && !strings.Contains(m.ID, "moderation") && !strings.Contains(m.ID, "realtime"):
			other = append(other, m.ID)
		}
	}
	models := append(known, other...)
	return models[:min(len(models), mostModels)]
}

// question asks a model, and decides what the list has left open. Of several models
// the next is asked if one cannot be used.
func (t *test) question(ctx context.Context, models []string) {
	named := len(models) > 0
	if !named {
		models = []string{noModel}
	}
	for i, model := range models {
		wanted := upstream.OperationsByName(model)
		spoken, op, ok := operationOf(t.upstream, "", wanted)
		if !ok {
			t.format().Code = CodeUnsupportedOperation
			t.format().Message = "the upstream serves neither conversations nor embeddings of this model; other requests are not made, for they cost more"
			return
		}
		a := &ask{
			upstream: t.upstream, format: spoken, operation: op, target: t.upstream.Target(model),
			stream: op == format.OperationChat,
		}
		f := a.run(ctx)
		if f != nil && i+1 < len(models) && (f.code == CodeModelNotFound || f.code == CodeRequestInvalid) {
			continue
		}
		t.judge(ctx, a, f, named)
		return
	}
}

// judge takes in how a question has ended; f is nil if it was answered. named says
// that it was for a model that there is.
func (t *test) judge(ctx context.Context, a *ask, f *failure, named bool) {
	if t.connectivity().Result == StageSkipped {
		t.connectivity().Endpoint = a.endpoint
		t.connectivity().LatencyMS = milliseconds(t.conn.time(a.latency))
		if f != nil && a.status == 0 && !t.conn.isMade() {
			t.connectivity().fail(t.conn.failure(ctx, t.upstream, f))
			return
		}
		t.connectivity().Result = StageOK
	}
	undecided := t.authentication().Result == StageSkipped
	refused := f != nil && (f.code == CodeAuthFailed || undecided && a.status == 0)
	if undecided || refused {
		t.authentication().Result, t.authentication().Endpoint = StageOK, a.endpoint
		t.authentication().LatencyMS = milliseconds(a.latency)
	}
	if refused {
		t.authentication().fail(f)
		return
	}
	if !named {
		t.format().Message = "no model was named, and none is listed that seems to be for conversations"
		return
	}
	t.format().Result, t.format().Endpoint, t.format().LatencyMS = StageOK, a.endpoint, milliseconds(a.latency)
	if f != nil {
		t.format().fail(f)
	}
}

// unconnected is the failure of a list for which no connection was made.
func (t *test) unconnected(ctx context.Context, err error) *failure {
	f := &failure{code: CodeNetworkError, class: routing.ClassConnect, message: scrubbed(t.upstream, err.Error())}
	return t.conn.failure(ctx, t.upstream, f)
}

// fail notes why the stage failed.
func (s *Stage) fail(f *failure) { s.Result, s.Code, s.Message = StageFailed, f.code, f.message }
