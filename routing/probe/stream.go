package probe

import (
	"context"
	"io"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/sse"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// endWait is how long a stream that has said everything may take to say so.
const endWait = time.Second

// readStream reads a stream up to its end mark, and notes when its first content
// came. One that has said everything and then breaks, or stays open, is complete.
// stop ends the call.
func (a *ask) readStream(ctx context.Context, body io.Reader, stop func()) *failure {
	a.streamed = true
	events := sse.NewScanner(body, maxAnswer)
	defer events.Release()
	codec, _ := format.ChatOf(a.format) // it has encoded the request
	decoder := codec.NewStreamDecoder()
	var neutral []chat.Event
	for ended := false; !ended; {
		before := a.finished
		ev, err := events.Next()
		switch err {
		case nil:
			neutral, err = decoder.Decode(neutral[:0], ev)
		case io.EOF:
			if neutral, err = decoder.Finish(neutral[:0]); err == nil {
				err = endOf(neutral)
			}
		}
		if err == nil {
			ended, err = a.follow(neutral)
		}
		switch {
		case err != nil && a.finished:
			return nil
		case err != nil:
			return answerFailure(ctx, a.upstream, routing.ClassBrokenStream, err)
		case a.finished && !before:
			defer time.AfterFunc(endWait, stop).Stop()
		}
	}
	return nil
}

// endOf is the error of a body that has ended without the end of the answer.
func endOf(last []chat.Event) error {
	for i := range last {
		if k := last[i].Kind; k == chat.EventEnd || k == chat.EventError {
			return nil
		}
	}
	return format.ErrTruncated
}

// follow takes in what an event amounts to. It says whether the answer is complete;
// an error that the upstream reports is one.
func (a *ask) follow(events []chat.Event) (ended bool, err error) {
	for i := range events {
		switch ev := &events[i]; ev.Kind {
		case chat.EventDelta, chat.EventFinish:
			if a.firstToken == 0 {
				a.firstToken = max(1, time.Since(a.began))
			}
			a.finished = a.finished || ev.Kind == chat.EventFinish
		case chat.EventUsage:
			a.usage = *ev.Usage
		case chat.EventError:
			return true, ev.Err
		case chat.EventEnd:
			ended = true
		}
	}
	return ended, nil
}
