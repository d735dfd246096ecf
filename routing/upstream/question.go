package upstream

import (
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// QuestionTokens is how long the answer to a question of the gateway's own may
// be: the least that every service accepts.
const QuestionTokens = 16

// Question is a short chat request of the gateway's own, by which it finds out
// whether a service answers. It says nothing of temperature and tools, which some
// models refuse.
func Question(f format.ID, text string) *chat.Request {
	q := &chat.Request{
		Format:    string(f),
		Turns:     []chat.Turn{{Role: chat.User, Blocks: []chat.Block{{Kind: chat.Text, Text: chat.Quote(text)}}}},
		MaxTokens: chat.NumberOf(QuestionTokens),
	}
	if f == format.OpenAIResponses {
		q.Store = chat.False // by default its answers are kept
	}
	return q
}

// AddressOf tells the method and the address of a call, without the query and
// without a credential; "" if the upstream does not speak the call's format or is
// not configured.
func (u *Upstream) AddressOf(call *Call) string {
	e, ok := u.endpoints[call.Format]
	if !ok {
		return ""
	}
	at := *e.address(call)
	at.RawQuery, at.User = "", nil
	return http.MethodPost + " " + at.String()
}

// OperationsByName guesses from an upstream model's name what it is for; none if
// nothing can be guessed.
func OperationsByName(model string) []format.Operation { return operationsOf(model) }

// ListAddress tells the method and the address of the list of models that belongs
// to the first format, without the query; "" if nobody knows where it is.
func (u *Upstream) ListAddress() string {
	lists := u.lists()
	if len(lists) == 0 {
		return ""
	}
	at := *lists[0].url
	at.RawQuery, at.User = "", nil
	return http.MethodGet + " " + at.String()
}
