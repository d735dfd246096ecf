package upstream

import (
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Timeouts are the time limits of calls to one upstream. A limit that is set
// replaces every default of its kind; zero stands for the defaults.
type Timeouts struct {
	// Resolving the name and connecting. Default: 5s.
	Connect caddy.Duration `json:"connect,omitempty"`
	// The TLS handshake. Default: 5s.
	TLSHandshake caddy.Duration `json:"tls_handshake,omitempty"`
	// From sending the request to the header of the answer. Default: 60s for
	// streams, embeddings and reranking, 600s for images and audio, 300s for other
	// requests.
	ResponseHeader caddy.Duration `json:"response_header,omitempty"`
	// From the start of a stream to its first content; comments and pings do not
	// count. Default: 120s.
	FirstContent caddy.Duration `json:"first_content,omitempty"`
	// Silence between the events of a stream. Default: 90s.
	Idle caddy.Duration `json:"idle,omitempty"`
	// The whole call. Default: 600s; 60m for streams.
	Total caddy.Duration `json:"total,omitempty"`
}

// The defaults.
const (
	defaultConnect      = 5 * time.Second
	defaultTLSHandshake = 5 * time.Second
	defaultFirstContent = 120 * time.Second
	defaultIdle         = 90 * time.Second
	defaultStream       = time.Hour
)

// Limits are the time limits of one call. The transport keeps those of the
// connection; these are kept by the one who calls. Zero means no limit.
type Limits struct {
	// Header is from sending the request to the header of the answer.
	Header time.Duration
	// FirstContent is up to the first content of a stream; zero for a call that
	// is no stream.
	FirstContent time.Duration
	// Idle is the longest silence in a stream; zero for a call that is no stream.
	Idle time.Duration
	// Total is the whole call.
	Total time.Duration
}

// Limits returns the limits of a call.
func (u *Upstream) Limits(op format.Operation, stream bool) Limits {
	l := defaultLimits(op, stream)
	t := &u.Timeouts
	l.Header = replaced(l.Header, t.ResponseHeader)
	l.Total = replaced(l.Total, t.Total)
	if stream {
		l.FirstContent = replaced(l.FirstContent, t.FirstContent)
		l.Idle = replaced(l.Idle, t.Idle)
	}
	return l
}

func defaultLimits(op format.Operation, stream bool) Limits {
	switch {
	case stream:
		return Limits{
			Header:       60 * time.Second,
			FirstContent: defaultFirstContent,
			Idle:         defaultIdle,
			Total:        defaultStream,
		}
	case op == format.OperationListModels:
		return Limits{Header: 15 * time.Second, Total: 15 * time.Second}
	default:
		return Limits{Header: defaultHeader(op), Total: 600 * time.Second}
	}
}

// defaultHeader is how long the header of an answer in one piece may take, which
// is about as long as the answer.
func defaultHeader(op format.Operation) time.Duration {
	switch op {
	case format.OperationEmbed, format.OperationRerank:
		return 60 * time.Second
	case format.OperationImageGenerate, format.OperationImageEdit,
		format.OperationAudioSpeech, format.OperationAudioTranscribe:
		return 600 * time.Second
	default:
		return 300 * time.Second
	}
}

// ConnectLimit is how long connecting may take, the look-up of the name included
// and the TLS handshake not; 0 for a transport without such a limit.
func (u *Upstream) ConnectLimit() time.Duration { return u.connect }

// HandshakeLimit is how long the TLS handshake may take; 0 for a transport without
// such a limit.
func (u *Upstream) HandshakeLimit() time.Duration { return u.handshake }

// check refuses what cannot be a limit.
func (t *Timeouts) check() error {
	for _, limit := range []struct {
		name  string
		value caddy.Duration
	}{
		{"connect", t.Connect},
		{"tls_handshake", t.TLSHandshake},
		{"response_header", t.ResponseHeader},
		{"first_content", t.FirstContent},
		{"idle", t.Idle},
		{"total", t.Total},
	} {
		if limit.value < 0 {
			return fmt.Errorf("timeouts.%s: must not be negative", limit.name)
		}
		if t.Total > 0 && limit.value > t.Total {
			return fmt.Errorf("timeouts.%s: must not be longer than timeouts.total", limit.name)
		}
		if t.Total == 0 && limit.name != "total" && time.Duration(limit.value) > defaultStream {
			return fmt.Errorf("timeouts.%s: must not be longer than the whole call, which is %s; set timeouts.total too", limit.name, defaultStream)
		}
	}
	return nil
}

func replaced(value time.Duration, set caddy.Duration) time.Duration {
	if set != 0 {
		return time.Duration(set)
	}
	return value
}
