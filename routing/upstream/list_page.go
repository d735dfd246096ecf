package upstream

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// MaxModelName is how long the name of an upstream model may be, in bytes.
const MaxModelName = 256

// CheckModelName refuses what cannot be the name of an upstream model: a name has 1
// to 256 bytes of UTF-8 and printable characters only.
func CheckModelName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of the model is empty")
	case len(name) > MaxModelName:
		return fmt.Errorf("the name of the model is longer than %d bytes", MaxModelName)
	case !printable(name) || strings.ContainsRune(name, utf8.RuneError):
		return errors.New("the name of the model holds characters that cannot be printed")
	default:
		return nil
	}
}

// describedName is how long a name for people may be, in bytes.
const describedName = 256

// maxTokens is the largest number of tokens that is believed.
const maxTokens = 1 << 30

// collector gathers the pages of a list.
type collector struct {
	listing Listing
	// seen are the names that were read.
	seen map[string]bool
	// entries is how many were read, those that were left out and repetitions
	// included.
	entries int
	tape    tape.Tape
}

// What is wrong with an answer that is no list.
var (
	errHTML    = errors.New("the answer is an HTML page; is base_url that of the API?")
	errNotJSON = errors.New("the answer is not JSON")
	errNoList  = errors.New("the answer holds no list of models")
	errNoNext  = errors.New("the list goes on, but does not say where")
	errBeside  = errors.New("the answer tells of an error")
)

// add takes in a page and returns the token that leads to the next; "" if it is
// the last.
func (c *collector) add(doc []byte, style listStyle) (next string, err error) {
	if start := bytes.TrimLeft(doc, " \t\r\n\xef\xbb\xbf"); len(start) > 0 && start[0] == '<' {
		return "", errHTML
	}
	root, err := c.parse(doc)
	if err != nil {
		return "", err
	}
	list, err := listIn(root, style)
	if err != nil {
		return "", err
	}
	if complains(root, list) {
		return "", errBeside
	}
	if c.entries += list.Len(); c.entries > listEntries {
		return "", fmt.Errorf("%w: more than %d entries", errTooLarge, listEntries)
	}
	last := ""
	for element := range list.Elements {
		if name := c.addModel(element, style); name != "" {
			last = name
		}
	}
	return nextToken(root, style, last)
}

// parse indexes a document. Bytes that are not UTF-8 become U+FFFD, so that they
// spoil the names they stand in and no others.
func (c *collector) parse(doc []byte) (tape.Value, error) {
	err := c.tape.Parse(doc)
	if errors.Is(err, tape.ErrUTF8) {
		err = c.tape.Parse(bytes.ToValidUTF8(doc, []byte(string(utf8.RuneError))))
	}
	switch {
	case errors.Is(err, tape.ErrSize):
		return tape.Value{}, fmt.Errorf("%w: an answer of too many values", errTooLarge)
	case err != nil:
		return tape.Value{}, errNotJSON
	default:
		return c.tape.Root(), nil
	}
}

// listIn finds the list in a document: it is the document, or its member "data" or
// "models". A list may be null where there is nothing in it, and Google leaves out
// one that is empty.
func listIn(root tape.Value, style listStyle) (tape.Value, error) {
	if root.Kind() == tape.Array {
		return root, nil
	}
	for _, key := range []string{"data", "models"} {
		switch list := root.Get(key); list.Kind() {
		case tape.Array, tape.Null:
			return list, nil
		}
	}
	if style == geminiStyle && root.Kind() == tape.Object && (root.Len() == 0 || root.Len() == 1 && root.Get("nextPageToken").Exists()) {
		return tape.Value{}, nil
	}
	return tape.Value{}, errNoList
}

// complains says that a document with a list tells of an error beside it. Some
// services do so with status 200, and give a list that is empty or lacks a part.
func complains(root, list tape.Value) bool {
	told := root.Get("error")
	return told.Bool() || told.Len() > 0 || told.Text() != "" ||
		root.Get("success").Kind() == tape.False ||
		list.Kind() == tape.Null && root.Get("message").Text() != ""
}

// nextToken reads what leads to the next page; "" behind the last. The last name of
// the page leads on where the page does not say so itself.
func nextToken(root tape.Value, style listStyle, last string) (string, error) {
	token := ""
	switch style {
	case geminiStyle:
		token = root.Get("nextPageToken").Text()
	case openAIStyle, anthropicStyle:
		if root.Get("has_more").Bool() {
			token = cmp.Or(root.Get("last_id").Text(), last)
		}
	}
	if token == "" && goesOn(root) {
		return "", errNoNext
	}
	if len(token) > listToken {
		return "", fmt.Errorf("%w: the way to the next page is longer than %d bytes", errTooLarge, listToken)
	}
	return token, nil
}

// goesOn says that a list which has no further page in its own style has one in
// another: part of it must not pass for the whole.
func goesOn(root tape.Value) bool {
	for _, key := range []string{"nextPageToken", "next_page_token", "next_cursor", "next"} {
		if root.Get(key).Text() != "" {
			return true
		}
	}
	return root.Get("has_more").Bool()
}

// addModel takes in an entry and returns its name; "" if it was left out.
func (c *collector) addModel(entry tape.Value, style listStyle) string {
	name := nameOf(entry, style)
	if CheckModelName(name) != nil {
		c.listing.Skipped++
		return ""
	}
	if c.seen[name] {
		return name
	}
	c.seen[name] = true
	c.listing.Models = append(c.listing.Models, modelIn(entry, name))
	return name
}

// nameOf reads the name of an entry, which is a string or an object.
func nameOf(entry tape.Value, style listStyle) string {
	if entry.Kind() == tape.String {
		return entry.Text()
	}
	keys := []string{"id", "name", "model"}
	if style == geminiStyle || style == ollamaStyle {
		keys = []string{"name", "id", "model"}
	}
	for _, key := range keys {
		if name := entry.Get(key).Text(); name != "" {
			if style == geminiStyle {
				name = strings.TrimPrefix(name, "models/")
			}
			return name
		}
	}
	return ""
}

// modelIn reads what an entry says of its model.
func modelIn(entry tape.Value, name string) ListedModel {
	m := ListedModel{
		ID:            name,
		DisplayName:   words(entry, "display_name", "displayName", "name"),
		OwnedBy:       words(entry, "owned_by", "organization"),
		ContextWindow: tokens(entry, "context_window", "context_length", "max_context_length", "max_model_len", "max_input_tokens", "inputTokenLimit"),
		MaxOutput:     tokens(entry, "max_completion_tokens", "max_output_tokens", "outputTokenLimit", "max_tokens"),
		Operations:    guessOperations(entry, name),
	}
	if strings.TrimPrefix(m.DisplayName, "models/") == name {
		m.DisplayName = ""
	}
	if top := entry.Get("top_provider"); m.MaxOutput == 0 { // OpenRouter
		m.MaxOutput = tokens(top, "max_completion_tokens")
	}
	return m
}

// words reads the first of the members that is a text for people.
func words(entry tape.Value, keys ...string) string {
	for _, key := range keys {
		if text := format.Bounded(entry.Get(key).Text(), describedName); text != "" {
			return text
		}
	}
	return ""
}

// tokens reads the first of the members that can be a number of tokens.
func tokens(entry tape.Value, keys ...string) int {
	for _, key := range keys {
		if n, ok := entry.Get(key).Int(); ok && n > 0 && n <= maxTokens {
			return int(n)
		}
	}
	return 0
}
