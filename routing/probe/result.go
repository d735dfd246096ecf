// Package probe finds out whether sources and upstreams work, by asking them a
// short question: at the wish of a person, beside the requests of clients. A probe
// moves no circuit, no budget and no average unless it is told to.
package probe

import (
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// Verdict is what a probe has found.
type Verdict string

// The verdicts.
const (
	// Usable: the source has answered in its format.
	Usable Verdict = "usable"
	// Failed: it has not; the code says why.
	Failed Verdict = "error"
	// TimedOut: no complete answer came in time.
	TimedOut Verdict = "timeout"
	// Unsupported: the source serves nothing that a probe may ask for, such as
	// images, which cost money. It was not called.
	Unsupported Verdict = "unsupported"
)

// Code says why a probe failed. It is "" for one that did not.
type Code string

// The codes.
const (
	// CodeTimeout: no complete answer within the limit.
	CodeTimeout Code = "timeout"
	// CodeAuthFailed: the credential was refused (401, 403).
	CodeAuthFailed Code = "auth_failed"
	// CodeModelNotFound: the upstream does not know the model or the path (404).
	CodeModelNotFound Code = "model_not_found"
	// CodeRateLimited: too many requests (429).
	CodeRateLimited Code = "rate_limited"
	// CodeQuotaExhausted: no money or quota left (402, or an error that says so).
	CodeQuotaExhausted Code = "quota_exhausted"
	// CodeRequestInvalid: the upstream refused the request (400, 422 and the like).
	CodeRequestInvalid Code = "request_invalid"
	// CodeUpstreamUnavailable: a failure inside the upstream (500 and above).
	CodeUpstreamUnavailable Code = "upstream_unavailable"
	// CodeResponseIncompatible: an answer that is not of the format, or is cut.
	CodeResponseIncompatible Code = "response_incompatible"
	// CodeNetworkError: no connection, one that broke, or an address that is refused.
	CodeNetworkError Code = "network_error"
	// CodeTLSError: no TLS connection, or a certificate that is not trusted.
	CodeTLSError Code = "tls_error"
	// CodeNameNotResolved: the host's name leads nowhere.
	CodeNameNotResolved Code = "name_not_resolved"
	// CodeUnsupportedOperation: see Unsupported.
	CodeUnsupportedOperation Code = "unsupported_operation"
	// CodeNotConfigured: the upstream's address or credential comes out empty.
	CodeNotConfigured Code = "not_configured"
	// CodeDisabled: the source, its model or its upstream is disabled.
	CodeDisabled Code = "disabled"
	// CodeSourceNotFound: there is no such model, or it has no such source.
	CodeSourceNotFound Code = "source_not_found"
	// CodeCancelled: whoever asked for the probe has ended it.
	CodeCancelled Code = "cancelled"
)

// Result is the end of the probe of one source.
type Result struct {
	// Model is the name of the model, Source the id of its source: see
	// routing.Source.ID.
	Model  string `json:"model"`
	Source string `json:"source,omitempty"`
	// Upstream and UpstreamModel are where the source leads.
	Upstream      string `json:"upstream,omitempty"`
	UpstreamModel string `json:"upstream_model,omitempty"`
	// Format is the format that was spoken.
	Format format.ID `json:"format,omitempty"`
	// Credential is the id of the credential that was sent.
	Credential string `json:"credential,omitempty"`

	// Result is what was found, Code why it failed, and Message that in words, at
	// most 512 bytes without secrets.
	Result  Verdict `json:"result"`
	Code    Code    `json:"code,omitempty"`
	Message string  `json:"message,omitempty"`
	// Status is the HTTP status of the answer; 0 if none came.
	Status int `json:"status,omitempty"`

	// LatencyMS is the time from sending the request to the end of the answer, or to
	// the failure, in milliseconds; FirstTokenMS that to the first content of a
	// stream. Of several calls they are those of the last. 0 if there was none.
	LatencyMS    int64 `json:"latency_ms"`
	FirstTokenMS int64 `json:"first_token_ms,omitempty"`
	// Endpoint is the method and the URL, without the query.
	Endpoint string `json:"endpoint,omitempty"`
	// Tokens is what the answer says that it cost; nil if it does not say.
	Tokens *Tokens `json:"tokens,omitempty"`
	// At is when the probe began.
	At time.Time `json:"at"`
	// Debug is what was sent and what came; nil unless that was asked for.
	Debug *Debug `json:"debug,omitempty"`
}

// Tokens is what a probe cost.
type Tokens struct {
	Input  int64 `json:"input"`
	Output int64 `json:"output"`
}

// Debug is what was sent and what came: bodies of at most 8 KiB each, without the
// upstream's secrets, and of the headers the content types only.
type Debug struct {
	RequestType  string `json:"request_content_type,omitempty"`
	RequestBody  string `json:"request_body"`
	ResponseType string `json:"response_content_type,omitempty"`
	ResponseBody string `json:"response_body"`
}

// Summary counts the results of several probes.
type Summary struct {
	Total       int `json:"total"`
	Usable      int `json:"usable"`
	Error       int `json:"error"`
	Timeout     int `json:"timeout"`
	Unsupported int `json:"unsupported"`
}

// add counts a result.
func (s *Summary) add(r *Result) {
	s.Total++
	switch r.Result {
	case Usable:
		s.Usable++
	case TimedOut:
		s.Timeout++
	case Unsupported:
		s.Unsupported++
	default:
		s.Error++
	}
}

// newResult begins the result of a source.
func newResult(model string, t *routing.Trial) Result {
	c := t.Candidate
	return Result{
		Model: model, Source: c.Source.ID(), Upstream: c.Upstream.Name(), UpstreamModel: c.Model,
		At: time.Now(),
	}
}

// notFound is the result of a source that there is not.
func notFound(model, sourceID, message string) Result {
	return Result{Model: model, Source: sourceID, Result: Failed, Code: CodeSourceNotFound, Message: message, At: time.Now()}
}

// Summarise counts results.
func Summarise(results []Result) Summary {
	var s Summary
	for i := range results {
		s.add(&results[i])
	}
	return s
}
