package probe

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/upstream"
)

const (
	// maxAnswer is the largest answer that is read, in bytes: far more than what was
	// asked for can need.
	maxAnswer = 4 << 20
	// maxErrorBody is how much of an error answer is read, in bytes.
	maxErrorBody = 64 << 10
	// maxCalls bounds the calls of one probe: the first, and repeats with other
	// parameters.
	maxCalls = 3
)

// ask is a question to an upstream: one call, or several if the service does not
// take all parameters of the first. It is not safe for concurrent use.
type ask struct {
	upstream   *upstream.Upstream
	format     format.ID
	operation  format.Operation
	target     chat.Target
	credential string
	own        http.Header
	debugging  bool
	// stream says that a stream is asked for, unlimited leaves the limit of the
	// answer out, and warm sends a temperature. They change with what the upstream
	// finds fault with: see adapt.
	stream, unlimited, warm bool
	adapted                 map[string]bool

	reply
}

// reply is what came of a call; of several it is that of the last.
type reply struct {
	endpoint   string
	body       []byte // that was sent
	began      time.Time
	latency    time.Duration // to the end, or to the failure; 0 if nothing was sent
	firstToken time.Duration // 0 if the answer was no stream
	streamed   bool
	finished   bool // the stream has said all but its end mark
	status     int  // 0 if no answer came
	usage      chat.Usage
	answerType string
	answer     capture // what came
}

// run asks until there is an answer that no other parameters could better. It
// returns nil if the upstream has answered in its format.
func (a *ask) run(ctx context.Context) *failure {
	f := a.call(ctx)
	for range maxCalls - 1 {
		if f == nil || !a.adapt(f) {
			break
		}
		f = a.call(ctx)
	}
	return f
}

// call makes one call.
func (a *ask) call(ctx context.Context) *failure {
	a.reply = reply{}
	asking, cancel := context.WithCancel(ctx)
	defer cancel()
	body, err := a.encode()
	if err != nil {
		return &failure{code: CodeRequestInvalid, message: err.Error(), class: routing.ClassUnsupported, own: true}
	}
	call := &upstream.Call{
		Format: a.format, Operation: a.operation, Model: a.target.Model,
		Body: body, Own: a.own, Stream: a.stream, Credential: a.credential,
	}
	a.endpoint, a.body = a.upstream.AddressOf(call), body.Bytes()
	a.began = time.Now()
	defer func() { a.latency = time.Since(a.began) }()
	response, err := a.upstream.Do(asking, call)
	if err != nil {
		return sendFailure(ctx, a.upstream, err)
	}
	defer response.Body.Close()
	a.status, a.answerType = response.StatusCode, response.Header.Get("Content-Type")
	f := a.read(ctx, response, cancel)
	if f != nil && f.status == 0 {
		f.status = a.status
	}
	return f
}

// encode writes the request.
func (a *ask) encode() (*format.Body, error) {
	body := new(format.Body)
	if a.operation == format.OperationEmbed {
		codec, ok := format.EmbeddingsOf(a.format)
		if !ok {
			return nil, fmt.Errorf("there is no codec for the format %s", a.format)
		}
		_, err := codec.EncodeEmbedRequest(body, &format.EmbedRequest{Texts: []chat.Literal{chat.Quote("OK")}}, a.target.Model)
		return body, err
	}
	codec, ok := format.ChatOf(a.format)
	if !ok {
		return nil, fmt.Errorf("there is no codec for the format %s", a.format)
	}
	question := upstream.Question(a.format, "Reply with OK.")
	question.Stream = a.stream
	if a.unlimited {
		question.MaxTokens = nil
	}
	if a.warm {
		question.Temperature = chat.NumberOf(1)
	}
	_, err := codec.EncodeRequest(body, question, a.target)
	return body, err
}

// read reads the answer; nil if it is one of the format. stop ends the call.
func (a *ask) read(ctx context.Context, response *http.Response, stop func()) *failure {
	plain, err := upstream.PlainBody(response)
	if err != nil {
		return answerFailure(ctx, a.upstream, routing.ClassBadAnswer, err)
	}
	body := io.TeeReader(io.LimitReader(plain, maxAnswer), &a.answer)
	if a.status < 200 || a.status > 299 {
		return a.readError(ctx, response, body)
	}
	if a.operation == format.OperationEmbed {
		return a.readWhole(ctx, body, a.readVectors)
	}
	streams, body, err := upstream.IsEventStream(response, body)
	switch {
	case err != nil:
		return answerFailure(ctx, a.upstream, routing.ClassBadAnswer, err)
	case streams:
		return a.readStream(ctx, body, stop)
	default:
		return a.readWhole(ctx, body, a.readChat)
	}
}

// readError reads an answer with an error status.
func (a *ask) readError(ctx context.Context, response *http.Response, body io.Reader) *failure {
	text, err := io.ReadAll(io.LimitReader(body, maxErrorBody))
	if f := interrupted(ctx); err != nil && f != nil {
		return f // otherwise what came is enough
	}
	codec, ok := format.ChatOf(format.Family(a.format))
	if !ok {
		return &failure{code: CodeResponseIncompatible, class: routing.ClassBadAnswer, message: fmt.Sprintf("status %d", a.status)}
	}
	text = []byte(a.upstream.Scrub(string(text))) // before anything is cut off
	return statusFailure(a.upstream, a.status, codec.DecodeError(a.status, response.Header, text))
}

// errLargeAnswer is the error of an answer that has no end.
var errLargeAnswer = chat.BadAnswer("the answer is far larger than what was asked for")

// readWhole reads an answer that is one document.
func (a *ask) readWhole(ctx context.Context, body io.Reader, decode func(tape.Value) error) *failure {
	data, err := io.ReadAll(body)
	if err == nil && len(data) >= maxAnswer {
		err = errLargeAnswer
	}
	if err == nil {
		t := tape.Take()
		defer t.Release()
		if err = t.Parse(data); err == nil {
			err = decode(t.Root())
		} else {
			err = chat.BadAnswer("the answer is not JSON: " + err.Error())
		}
	}
	if err != nil {
		return answerFailure(ctx, a.upstream, routing.ClassBadAnswer, err)
	}
	return nil
}

// readChat reads an answer to the question. It may be empty: a model that reasons
// may have spent all it was given on that.
func (a *ask) readChat(doc tape.Value) error {
	codec, _ := format.ChatOf(a.format) // it has encoded the request
	answer, err := codec.DecodeResponse(doc)
	if err == nil {
		a.usage = answer.Usage
	}
	return err
}

// readVectors reads an answer with an embedding.
func (a *ask) readVectors(doc tape.Value) error {
	codec, _ := format.EmbeddingsOf(a.format) // it has encoded the request
	answer, err := codec.DecodeVectors(doc, 1)
	if err == nil {
		a.usage = answer.Usage
	}
	return err
}
