package upstream

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
)

// Listing is what a service says that it has.
type Listing struct {
	// Endpoint is the kind of list that answered: openai_models, anthropic_models,
	// gemini_models or ollama_tags.
	Endpoint string
	// Models are in the service's own order, each once.
	Models []ListedModel
	// Skipped is how many entries were left out because their names cannot be used.
	Skipped int
}

// ListedModel is one model of a Listing. All but the ID may be missing.
type ListedModel struct {
	// ID is the upstream model, as CheckModelName wants it.
	ID string
	// DisplayName and OwnedBy are for people; without control characters, and of 256
	// bytes at most.
	DisplayName, OwnedBy string
	// ContextWindow and MaxOutput are in tokens; 0 if the list does not tell.
	ContextWindow, MaxOutput int
	// Operations are guessed from what the list says and from the name; none if
	// nothing can be guessed.
	Operations []format.Operation
}

// The bounds of a list. One that goes beyond them is an error, for half a list
// would say that the other half is gone.
const (
	listTime    = 15 * time.Second
	listBody    = 32 << 20 // bytes of one answer, unpacked
	listPages   = 100
	listEntries = 100_000
	listToken   = 4 << 10 // bytes of what leads to the next page
)

// ListModels asks the service for its models, over the upstream's own transport,
// with the first of its credentials that can be used, its headers, and on its
// addresses only. The list that belongs to the first format is asked for; if the
// service has no such list, then the one that OpenAI has, and of a local server
// the one that Ollama has.
//
// It takes 15s at most, follows the pages of the list, and returns all of it or
// an error: a *ListError, unless the context was cancelled. A disabled upstream
// is asked, too; one that is not configured is not. It is safe for concurrent use.
func (u *Upstream) ListModels(ctx context.Context) (Listing, error) {
	if u.missing != "" {
		return Listing{}, &ListError{Problem: ListUnavailable, Text: "the upstream is not configured: " + u.missing, cause: ErrUnavailable}
	}
	lists := u.lists()
	if len(lists) == 0 {
		return Listing{}, &ListError{Problem: ListUnavailable, Text: "the address of the list does not follow from format_paths"}
	}
	limited, cancel := context.WithTimeout(ctx, listTime)
	defer cancel()
	var first *ListError
	for i := range lists {
		found, err := u.follow(limited, &lists[i])
		if err == nil {
			return found, nil
		}
		if errors.Is(ctx.Err(), context.Canceled) {
			return Listing{}, fmt.Errorf("listing the models of upstream %q: %w", u.name, context.Canceled)
		}
		if first == nil {
			first = err
		}
		if !err.elsewhere {
			break
		}
	}
	return Listing{}, first
}

// follow reads a list page by page.
func (u *Upstream) follow(ctx context.Context, l *modelList) (Listing, *ListError) {
	c := collector{listing: Listing{Endpoint: l.endpoint}, seen: make(map[string]bool)}
	tokens := make(map[string]bool)
	token := ""
	for range listPages {
		doc, status, failed := u.page(ctx, l, token)
		next := ""
		if failed == nil {
			var err error
			if next, err = c.add(doc, l.style); err != nil {
				failed = u.refused(l, status, err)
			}
		}
		if failed != nil {
			// Of a list that has begun no other one can be the rest.
			failed.elsewhere = failed.elsewhere && token == ""
			return Listing{}, failed
		}
		if next == "" {
			return c.listing, nil
		}
		if tokens[next] {
			return Listing{}, u.refused(l, status, errEndless)
		}
		tokens[next] = true
		token = next
	}
	return Listing{}, u.refused(l, http.StatusOK, fmt.Errorf("%w: more than %d pages", errTooLarge, listPages))
}

// page asks for one page and returns its document.
func (u *Upstream) page(ctx context.Context, l *modelList, token string) ([]byte, int, *ListError) {
	response, err := u.get(ctx, l.at(token), l.header, "")
	if err != nil {
		return nil, 0, u.unreached(ctx, l, 0, err)
	}
	defer response.Body.Close()
	if failed := l.judge(response); failed != nil {
		return nil, 0, failed
	}
	body, err := PlainBody(response)
	if err != nil && ctx.Err() == nil {
		return nil, 0, u.refused(l, response.StatusCode, err)
	}
	var doc []byte
	if err == nil {
		doc, err = io.ReadAll(io.LimitReader(body, listBody+1))
	}
	if err != nil {
		return nil, 0, u.unreached(ctx, l, response.StatusCode, fmt.Errorf("reading the answer: %w", err))
	}
	if len(doc) > listBody {
		return nil, 0, u.refused(l, response.StatusCode, fmt.Errorf("%w: an answer of more than %d MiB", errTooLarge, listBody>>20))
	}
	return doc, response.StatusCode, nil
}

// at is the address of the page that a token leads to; "" for the first page.
func (l *modelList) at(token string) *url.URL {
	u := *l.url
	query := make(url.Values, 2)
	if l.size != "" {
		query.Set(l.size, pageSize)
	}
	if token != "" {
		query.Set(l.after, token)
	}
	u.RawQuery = query.Encode()
	return &u
}

// pageSize is how many entries are asked for, where a list can be told.
const pageSize = "1000"
