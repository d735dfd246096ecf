package openai

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func init() {
	format.RegisterEmbeddings(format.OpenAIEmbeddings, Embeddings{})
}

// Embeddings is the codec of the Embeddings format
// (https://platform.openai.com/docs/api-reference/embeddings). The zero value is
// ready for use, also concurrently.
type Embeddings struct{}

// maxInputs is how many texts one request may have
// (https://platform.openai.com/docs/api-reference/embeddings/create, input).
const maxInputs = 2048

// DecodeError implements format.ErrorCodec.
func (Embeddings) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	return decodeError(status, header, body)
}

// EncodeError implements format.ErrorCodec.
func (Embeddings) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	return encodeError(dst, e)
}

// DecodeEmbedRequest implements format.Embeddings.
func (Embeddings) DecodeEmbedRequest(doc tape.Value) (*format.EmbedRequest, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := embedDecoder{r: &format.EmbedRequest{}, seen: map[string]bool{}}
	for key, value := range doc.Members {
		if err := d.field(key, value); err != nil {
			return nil, err
		}
	}
	if d.r.Texts == nil && !d.r.Tokens {
		return nil, chat.Invalid("input", "the request has no input; set the field input")
	}
	d.r.List = len(d.r.Texts) > 1
	return d.r, nil
}

// embedDecoder reads one request.
type embedDecoder struct {
	r    *format.EmbedRequest
	seen map[string]bool
}

// field reads a field of the request.
func (d *embedDecoder) field(key, v tape.Value) error {
	field := string(key.Unescaped())
	switch field {
	case "model", "input", "dimensions", "encoding_format":
		if d.seen[field] {
			return chat.Invalid(field, "the field "+field+" stands twice in the request")
		}
		d.seen[field] = true
	}
	if !v.Present() {
		return nil
	}
	switch field {
	case "model":
		return nil // the router has read it
	case "input":
		return d.input(v)
	case "dimensions":
		if n, ok := v.Int(); !ok || n < 1 {
			return chat.MustBe(field, "a whole number of at least 1")
		}
		d.r.Dimensions = chat.Number(v.Raw())
	case "encoding_format":
		if !v.Is("float") && !v.Is("base64") {
			return chat.MustBe(field, "float or base64")
		}
		d.r.Base64 = v.Is("base64")
	default:
		if len(d.r.Others) < maxExtra {
			d.r.Others = append(d.r.Others, format.Bounded(field, maxExtraName))
		}
	}
	return nil
}

// wrongInput is the error of an input that is none of the four kinds.
func wrongInput() error {
	return chat.MustBe("input", "a string, an array of strings, or one or several arrays of token numbers, and not empty")
}

// input reads what is to be embedded. OpenAI's servers refuse empty texts, too.
func (d *embedDecoder) input(v tape.Value) error {
	switch v.Kind() {
	case tape.String:
		if v.Literal().Empty() {
			return wrongInput()
		}
		d.r.Texts = []chat.Literal{v.Literal()}
		return nil
	case tape.Array:
	default:
		return wrongInput()
	}
	if v.Len() == 0 {
		return wrongInput()
	}
	if isTokens(v) {
		d.r.Tokens = true
		return nil
	}
	if v.Len() > maxInputs {
		return chat.Invalid("input", fmt.Sprintf("a request has at most %d inputs", maxInputs))
	}
	for element := range v.Elements {
		switch {
		case isTokens(element):
			d.r.Tokens = true
		case element.Kind() != tape.String, element.Literal().Empty():
			return wrongInput()
		default:
			d.r.Texts = append(d.r.Texts, element.Literal())
		}
	}
	if d.r.Tokens && d.r.Texts != nil {
		return wrongInput()
	}
	return nil
}

// isTokens says that a value is an array of token numbers.
func isTokens(v tape.Value) bool {
	for element := range v.Elements {
		if _, ok := element.Int(); !ok {
			return false
		}
	}
	return v.Len() > 0
}

// EncodeEmbedRequest implements format.Embeddings. The vectors are asked for as
// numbers, whose digits every other format can repeat as they are.
func (Embeddings) EncodeEmbedRequest(b *format.Body, r *format.EmbedRequest, model string) (chat.Report, error) {
	if r.Tokens {
		return nil, chat.Invalid("input", "token numbers cannot be sent to another model than the one they were made for; send the texts")
	}
	var report chat.Report
	for _, other := range r.Others {
		report.Drop(other)
	}
	b.Str(`{"model":`)
	b.Quote(model)
	b.Str(`,"input":`)
	if len(r.Texts) == 1 {
		b.Raw(r.Texts[0])
	} else {
		separator := byte('[')
		for _, text := range r.Texts {
			b.Byte(separator)
			b.Raw(text)
			separator = ','
		}
		b.Byte(']')
	}
	b.Str(`,"encoding_format":"float"`)
	if r.Dimensions != nil {
		b.Str(`,"dimensions":`)
		b.Raw(r.Dimensions)
	}
	b.Byte('}')
	return report, nil
}

// InspectVectors implements format.Embeddings.
func (Embeddings) InspectVectors(body []byte) (chat.Usage, error) {
	if !bytes.Contains(body, []byte(`"embedding"`)) {
		return chat.Usage{}, inspectFailure(body)
	}
	return usageAtEnd(body), nil
}

// inspectFailure is the error of an answer without vectors.
func inspectFailure(body []byte) error {
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(body); err != nil {
		return chat.BadAnswer("the upstream's answer is not JSON")
	}
	if format.IsFailure(t.Root().Get("error")) {
		return errorIn(t.Root())
	}
	return noVectors()
}

// noVectors is the error of an answer of another shape.
func noVectors() error {
	return chat.BadAnswer("the upstream's answer has no list of embeddings")
}

// usageAtEnd reads the counts of tokens that stand behind the data.
func usageAtEnd(body []byte) chat.Usage {
	return usageBehind(body, bytes.LastIndex(body, []byte(`"usage"`)))
}

// usageBehind reads the object behind the key "usage" at an offset; it may be
// negative if there is none.
func usageBehind(body []byte, at int) chat.Usage {
	const most = 1 << 10
	if at < 0 {
		return chat.Usage{}
	}
	text := body[at+len(`"usage"`):]
	text = bytes.TrimLeft(text[:min(len(text), most)], ": \t\r\n")
	t := tape.Take()
	defer t.Release()
	// It is an object of a few numbers, perhaps with objects in it: the first
	// bracket at which it is valid ends it.
	for end := 0; end < len(text); end++ {
		next := bytes.IndexByte(text[end:], '}')
		if next < 0 {
			break
		}
		end += next
		if t.Parse(text[:end+1]) == nil {
			var c counts
			c.read(t.Root())
			return c.usage()
		}
	}
	return chat.Usage{}
}

// DecodeVectors implements format.Embeddings. Vectors stand where their index
// says; servers that leave it out answer in order.
func (Embeddings) DecodeVectors(doc tape.Value, n int) (*format.Vectors, error) {
	var data, usage, failure tape.Value
	for key, value := range doc.Members {
		switch {
		case key.Is("data"):
			data = value
		case key.Is("usage"):
			usage = value
		case key.Is("error"):
			failure = value
		}
	}
	switch {
	case format.IsFailure(failure):
		return nil, errorIn(doc)
	case data.Kind() != tape.Array:
		return nil, noVectors()
	case data.Len() != n:
		return nil, format.WrongCount(data.Len(), n)
	}
	v := &format.Vectors{Of: make([]format.Vector, n)}
	filled := make([]bool, n)
	place := 0
	for element := range data.Elements {
		at, ok := element.Get("index").Int()
		if !ok {
			at = int64(place)
		}
		place++
		if at < 0 || at >= int64(n) || filled[at] {
			return nil, chat.BadAnswer("the upstream's answer numbers its embeddings wrongly")
		}
		filled[at] = true
		if v.Of[at], ok = format.VectorOf(element.Get("embedding")); !ok {
			return nil, noVectors()
		}
	}
	var c counts
	c.read(usage)
	v.Usage = c.usage()
	return v, nil
}

// EncodeVectors implements format.Embeddings.
func (Embeddings) EncodeVectors(dst []byte, v *format.Vectors, r *format.EmbedRequest, model string) ([]byte, error) {
	dst = append(dst, `{"object":"list","data":[`...)
	var err error
	for i := range v.Of {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendCount(dst, `{"object":"embedding","index":`, int64(i))
		dst = append(dst, `,"embedding":`...)
		if r.Base64 {
			dst, err = v.Of[i].AppendBase64(dst)
		} else {
			dst, err = v.Of[i].AppendNumbers(dst)
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, '}')
	}
	dst = append(dst, `],"model":`...)
	dst = chat.AppendQuoted(dst, model)
	dst = appendCount(dst, `,"usage":{"prompt_tokens":`, v.Usage.Prompt())
	dst = appendCount(dst, `,"total_tokens":`, v.Usage.Prompt())
	return append(dst, "}}"...), nil
}

// Interface guards.
var _ format.Embeddings = Embeddings{}
