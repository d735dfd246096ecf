package gemini

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Limits of a request. Those of contents and tools are those of the other
// formats too; the others keep a small document from demanding much memory or time.
const (
	maxContents = 4096
	maxTools    = 1024
	maxBlocks   = 1 << 16
	maxCalls    = 4096 // in one answer
	maxStop     = 1024
	maxExtra    = 256
)

// DecodeRequest implements format.RequestCodec. The caller sets Model and Stream,
// which stand in the path.
func (GenerateContent) DecodeRequest(doc tape.Value) (*chat.Request, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := requestDecoder{r: &chat.Request{Format: origin, IncludeUsage: true}}
	d.r.Reasoning.Summary = "omitted"
	if err := d.request(doc); err != nil {
		return nil, err
	}
	return d.r, nil
}

// requestDecoder reads one request.
type requestDecoder struct {
	r        *chat.Request
	contents bool // there were some

	contentsDecoder
}

// request reads all fields.
func (d *requestDecoder) request(doc tape.Value) error {
	if doc.Len() > maxExtra {
		return chat.Invalid("", fmt.Sprintf("a request has at most %d fields", maxExtra))
	}
	err := at("").members(doc, func(word []byte, v tape.Value) error { return d.field(doc, word, v) })
	if err != nil {
		return err
	}
	if !d.contents {
		return chat.MustBe("contents", "an array with at least one content")
	}
	return nil
}

// field reads a field of the request, which is doc.
func (d *requestDecoder) field(doc tape.Value, field []byte, v tape.Value) error {
	switch string(field) {
	case "contents":
		return d.readContents(v)
	case "systemInstruction":
		return d.system(v)
	case "tools":
		return d.tools(v)
	case "toolConfig":
		return d.toolConfig(v)
	case "generationConfig":
		return d.generation(v)
	case "serviceTier":
		return d.serviceTier(v)
	case "model", "stream":
		// The path says it; some clients repeat it.
		return nil
	case "cachedContent", "safetySettings", "labels", "store":
		d.extra(string(field), v)
		return nil
	default:
		d.unknown("", doc, field, v)
		return nil
	}
}

// unknown keeps a member of an object that this package knows nothing about, by
// the name that the client gave it: it is the client that is told of its loss.
// word is that name in camel case, below the path of the object with its dot.
func (d *requestDecoder) unknown(below string, object tape.Value, word []byte, v tape.Value) {
	for key := range object.Members {
		if bytes.Equal(canonical(key), word) {
			d.extra(below+string(key.Literal().Unescaped()), v)
			return
		}
	}
}

// extra keeps a field that has no neutral meaning, the first one of each path.
func (d *requestDecoder) extra(path string, v tape.Value) {
	if len(d.r.Extra) == maxExtra {
		return
	}
	path = format.Bounded(path, 96)
	for i := range d.r.Extra {
		if d.r.Extra[i].Name == path {
			return
		}
	}
	d.r.Extra = append(d.r.Extra, chat.Field{Name: path, Value: v.Raw()})
}

// serviceTier reads how the provider is to treat the request.
func (d *requestDecoder) serviceTier(v tape.Value) error {
	switch strings.ToLower(v.Text()) {
	case "flex":
		d.r.ServiceTier = chat.Literal(`"flex"`)
	case "standard":
		d.r.ServiceTier = chat.Literal(`"default"`)
	case "priority":
		d.r.ServiceTier = chat.Literal(`"priority"`)
	case "unspecified", "":
	default:
		return chat.MustBe("serviceTier", "flex, standard or priority")
	}
	return nil
}
