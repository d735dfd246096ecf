package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing/registry"
)

// argument is a word, or several, of a command line.
type argument struct {
	// name is how usage calls it.
	name string
	// optional words may be left out, and of many there may be any number. Both end a
	// command line.
	optional, many bool
	// known lists what the server knows for the word; before are the words in front
	// of it. Default: nothing is known.
	known func(c *client, before []string) ([]string, error)
	// one is the kind of definition that the word names, in commands. Default: none.
	one string
}

// The arguments that name what there is.
var (
	upstreamWord = argument{name: "UPSTREAM", known: namesAt("/upstreams"), one: "upstream"}
	modelWord    = argument{name: "MODEL", known: namesAt("/models"), one: "model"}
	sourceWord   = argument{name: "SOURCE", known: knownSources}
	fileWord     = argument{name: "FILE"}
)

// orNone is the argument if it may be left out.
func (a argument) orNone() argument { a.optional = true; return a }

// orMore is the argument if there may be several.
func (a argument) orMore() argument { a.many = true; return a }

// count refuses a command line with too few or too many words, and empty ones, which
// name nothing: without them a path leads to something else.
func count(cmd *cobra.Command, words []argument, args []string) error {
	if len(args) < len(words) && !words[len(args)].optional {
		return misused("%s is missing; usage: %s", words[len(args)].name, cmd.UseLine())
	}
	if most := len(words); len(args) > most && (most == 0 || !words[most-1].many) {
		return misused("%q is too much; usage: %s", args[most], cmd.UseLine())
	}
	if i := slices.Index(args, ""); i >= 0 {
		word, _ := wordAt(words, i)
		return misused("%s is empty; usage: %s", word.name, cmd.UseLine())
	}
	return nil
}

// wordAt is the argument that stands at a place; false behind the last one.
func wordAt(words []argument, at int) (argument, bool) {
	switch {
	case at < len(words):
		return words[at], true
	case len(words) > 0 && words[len(words)-1].many:
		return words[len(words)-1], true
	default:
		return argument{}, false
	}
}

// with gives a command what it does and its arguments, which shells can complete.
func with(cmd *cobra.Command, do func(s *session, cmd *cobra.Command, args []string) error, words ...argument) *cobra.Command {
	cmd.RunE = action(do, words...)
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		word, ok := wordAt(words, len(args))
		switch {
		case ok && word.name == fileWord.name:
			return nil, cobra.ShellCompDirectiveDefault
		case !ok || word.known == nil:
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		return completions(cmd, word, args), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// completionTime is how long a shell waits for the names.
const completionTime = time.Second

// completions asks the server for what can stand at a place. Somebody who types has
// no use for an error: then there is nothing to offer.
func completions(cmd *cobra.Command, word argument, before []string) []string {
	s, err := newSession(cmd)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTime)
	defer cancel()
	s.ctx = ctx
	names, err := word.known(&s.client, before)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return slices.Contains(before, name) || strings.ContainsFunc(name, unprintable)
	})
}

// namesAt lists the names of the items of a list.
func namesAt(path string) func(*client, []string) ([]string, error) {
	return func(c *client, _ []string) ([]string, error) {
		answer, err := c.list(path, nil)
		if err != nil {
			return nil, err
		}
		return namesIn(answer)
	}
}

// namesIn are the names, or ids, of the items of a list, each once.
func namesIn(answer []byte) ([]string, error) {
	var page Page[struct {
		Name string `json:"name"`
		ID   string `json:"id"`
	}]
	if err := json.Unmarshal(answer, &page); err != nil {
		return nil, fmt.Errorf("reading the list: %w", err)
	}
	var names []string
	seen := make(map[string]bool, len(page.Items))
	for _, item := range page.Items {
		if name := item.Name + item.ID; !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
	}
	return names, nil
}

// knownSources lists the sources of the model in front.
func knownSources(c *client, before []string) ([]string, error) {
	if len(before) == 0 {
		return nil, nil
	}
	return namesAt("/models/"+segment(before[0])+"/sources")(c, nil)
}

// knownUpstreamModels lists the catalogue of the upstream that is the word at a place.
func knownUpstreamModels(at int) func(*client, []string) ([]string, error) {
	return func(c *client, before []string) ([]string, error) {
		if len(before) <= at {
			return nil, nil
		}
		return namesAt("/upstreams/"+segment(before[at])+"/catalogue")(c, nil)
	}
}

// hinted adds to a refusal what the caller may do: the name that was probably meant,
// or how to go on.
func (s *session) hinted(err error, words []argument, args []string) error {
	refused, ok := errors.AsType[*refusedError](err)
	if !ok {
		return err
	}
	switch refused.status {
	case http.StatusNotFound:
		refused.hint = s.meant(words, args)
	case http.StatusPreconditionFailed:
		refused.hint = "; nothing was changed"
		if len(words) > 0 && words[0].one != "" && len(args) > 0 {
			refused.hint += fmt.Sprintf(": look at it with \"caddy ai %s get %s\", and repeat the command with --if-revision and the revision you see", words[0].one, args[0])
		}
	}
	return err
}

// meant is the end of an error about a name that the server does not know.
func (s *session) meant(words []argument, args []string) string {
	for i, arg := range args {
		word, ok := wordAt(words, i)
		if !ok || word.known == nil {
			continue
		}
		known, err := word.known(&s.client, args[:i])
		if err != nil {
			return "" // what the server has said before is the better message
		}
		if !slices.Contains(known, arg) {
			return didYouMean(routing.Nearest(arg, known))
		}
	}
	return ""
}

// query makes a query of the flags of a command that were given. What is a minus in
// a flag is an underscore there.
func query(cmd *cobra.Command, flags ...string) url.Values {
	q := url.Values{}
	for _, name := range flags {
		if cmd.Flag(name).Changed {
			q.Set(strings.ReplaceAll(name, "-", "_"), option(cmd, name))
		}
	}
	return q
}

// option is the value of a flag that is declared.
func option(cmd *cobra.Command, name string) string {
	return cmd.Flag(name).Value.String()
}

// given says whether a flag that is declared was given as true.
func given(cmd *cobra.Command, name string) bool { return option(cmd, name) == "true" }

// pathOf is the path of a definition.
func pathOf(kind registry.Kind, name string) string { return "/" + string(kind) + "/" + segment(name) }
