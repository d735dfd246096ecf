package gemini

import (
	"bytes"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

func init() {
	format.RegisterEmbeddings(format.GeminiEmbeddings, Embeddings{})
}

// Embeddings is the codec of embedContent and batchEmbedContents
// (https://ai.google.dev/api/embeddings). A request with List is of the second:
// who sends one makes the path.
// The zero value is ready for use, also concurrently.
type Embeddings struct{}

// maxBatch is how many texts one request may have: Google's servers answer "at
// most 100 requests can be in one batch" to more
// (github.com/langchain-ai/langchainjs, issue 4491).
const maxBatch = 100

// DecodeError implements format.ErrorCodec.
func (Embeddings) DecodeError(status int, header http.Header, body []byte) *chat.Error {
	return GenerateContent{}.DecodeError(status, header, body)
}

// EncodeError implements format.ErrorCodec.
func (Embeddings) EncodeError(dst []byte, e *chat.Error) (status int, body []byte) {
	return GenerateContent{}.EncodeError(dst, e)
}

// DecodeEmbedRequest implements format.Embeddings. The requests of a batch have
// to agree in everything but their text.
func (Embeddings) DecodeEmbedRequest(doc tape.Value) (*format.EmbedRequest, error) {
	if doc.Kind() != tape.Object {
		return nil, chat.Invalid("", "the request body must be a JSON object")
	}
	d := embedDecoder{r: &format.EmbedRequest{}}
	requests := doc.Get("requests")
	if !requests.Present() {
		return d.r, d.request(doc, "")
	}
	d.r.List = true
	switch {
	case requests.Kind() != tape.Array || requests.Len() == 0:
		return nil, chat.MustBe("requests", "an array with at least one request")
	case requests.Len() > maxBatch:
		return nil, tooMany("requests")
	}
	i := 0
	for request := range requests.Elements {
		path := fmt.Sprintf("requests[%d]", i)
		i++
		if request.Kind() != tape.Object {
			return nil, chat.MustBe(path, "an object")
		}
		if err := d.request(request, path+"."); err != nil {
			return nil, err
		}
	}
	return d.r, nil
}

// tooMany is the error of a batch that is too large.
func tooMany(field string) error {
	return chat.Invalid(field, fmt.Sprintf("a request for embeddings of this model has at most %d texts; send them in several requests", maxBatch))
}

// embedDecoder reads one request, or those of a batch.
type embedDecoder struct {
	r *format.EmbedRequest
}

// request reads a request for one text. Its fields stand below a path, which is
// empty or ends in a dot.
func (d *embedDecoder) request(doc tape.Value, path string) error {
	var text chat.Literal
	var dimensions chat.Number
	seen := map[string]bool{}
	for key, value := range doc.Members {
		field := string(canonical(key))
		if seen[field] || len(seen) == maxExtra {
			return chat.Repeated(format.Bounded(path+field, 96))
		}
		seen[field] = true
		if !value.Present() {
			continue
		}
		switch field {
		case "model":
		case "content":
			var err error
			if text, err = contentText(value, path+field); err != nil {
				return err
			}
		case "outputDimensionality":
			if n, ok := value.Int(); !ok || n < 1 {
				return chat.MustBe(path+field, "a whole number of at least 1")
			}
			dimensions = chat.Number(value.Raw())
		default:
			if field = format.Bounded(field, 96); !slices.Contains(d.r.Others, field) && len(d.r.Others) < maxExtra {
				d.r.Others = append(d.r.Others, field)
			}
		}
	}
	if text == nil {
		return chat.MustBe(path+"content", "a content with a text")
	}
	if len(d.r.Texts) > 0 && !bytes.Equal(dimensions, d.r.Dimensions) {
		return chat.Invalid(path+"outputDimensionality", "the requests of a batch must agree in outputDimensionality for this model")
	}
	d.r.Dimensions = dimensions
	d.r.Texts = append(d.r.Texts, text)
	return nil
}

// contentText is the text of a content. Several parts are one text; a part that
// is none is refused.
func contentText(v tape.Value, path string) (chat.Literal, error) {
	var text chat.Literal
	for part := range list(v.Get("parts")).each {
		piece := part.Get("text").Literal()
		switch {
		case piece == nil:
			return nil, chat.Invalid(path, "for this model the field "+path+" must have parts with texts only")
		case text == nil:
			text = piece
		default:
			joined := append(slices.Clone(text[:len(text)-1]), piece.Inner()...)
			text = append(joined, '"')
		}
	}
	if text.Empty() {
		return nil, chat.MustBe(path, "a content with a text")
	}
	return text, nil
}

// EncodeEmbedRequest implements format.Embeddings.
func (Embeddings) EncodeEmbedRequest(b *format.Body, r *format.EmbedRequest, model string) (chat.Report, error) {
	switch {
	case r.Tokens:
		return nil, chat.Invalid("input", "token numbers cannot be sent to this model; send the texts")
	case len(r.Texts) > maxBatch:
		return nil, tooMany("input")
	}
	var report chat.Report
	for _, other := range r.Others {
		report.Drop(other)
	}
	if !r.List && len(r.Texts) == 1 {
		encodeEmbed(b, r, r.Texts[0], model)
		return report, nil
	}
	b.Str(`{"requests":`)
	separator := byte('[')
	for _, text := range r.Texts {
		b.Byte(separator)
		encodeEmbed(b, r, text, model)
		separator = ','
	}
	b.Str(`]}`)
	return report, nil
}

// encodeEmbed writes the request for one text.
func encodeEmbed(b *format.Body, r *format.EmbedRequest, text chat.Literal, model string) {
	b.Str(`{"model":`)
	b.Quote(resource(model))
	b.Str(`,"content":{"parts":[{"text":`)
	b.Raw(text)
	b.Str(`}]}`)
	if r.Dimensions != nil {
		b.Str(`,"outputDimensionality":`)
		b.Raw(r.Dimensions)
	}
	b.Byte('}')
}

// InspectVectors implements format.Embeddings.
func (Embeddings) InspectVectors(body []byte) (chat.Usage, error) {
	if bytes.Contains(body, []byte(`"values"`)) {
		return chat.Usage{}, nil
	}
	t := tape.Take()
	defer t.Release()
	if err := t.Parse(body); err != nil {
		return chat.Usage{}, chat.BadAnswer("the upstream's answer is not JSON")
	}
	if t.Root().Get("error").Kind() == tape.Object {
		return chat.Usage{}, errorIn(t.Root())
	}
	return chat.Usage{}, noVectors()
}

// noVectors is the error of an answer of another shape.
func noVectors() error {
	return chat.BadAnswer("the upstream's answer has no embeddings")
}

// DecodeVectors implements format.Embeddings. The format tells no usage.
func (Embeddings) DecodeVectors(doc tape.Value, n int) (*format.Vectors, error) {
	if doc.Get("error").Kind() == tape.Object {
		return nil, errorIn(doc)
	}
	v := &format.Vectors{}
	found := doc.Get("embedding")
	if !found.Present() {
		found = doc.Get("embeddings")
	}
	for element := range list(found).each {
		vector, ok := format.VectorOf(element.Get("values"))
		if !ok {
			return nil, noVectors()
		}
		v.Of = append(v.Of, vector)
	}
	switch len(v.Of) {
	case n:
		return v, nil
	case 0:
		return nil, noVectors()
	default:
		return nil, format.WrongCount(len(v.Of), n)
	}
}

// EncodeVectors implements format.Embeddings.
func (Embeddings) EncodeVectors(dst []byte, v *format.Vectors, r *format.EmbedRequest, _ string) ([]byte, error) {
	if !r.List {
		if len(v.Of) != 1 {
			return dst, format.WrongCount(len(v.Of), 1)
		}
		dst, err := appendValues(append(dst, `{"embedding":`...), &v.Of[0])
		return append(dst, '}'), err
	}
	dst = append(dst, `{"embeddings":[`...)
	for i := range v.Of {
		if i > 0 {
			dst = append(dst, ',')
		}
		var err error
		if dst, err = appendValues(dst, &v.Of[i]); err != nil {
			return dst, err
		}
	}
	return append(dst, "]}"...), nil
}

// appendValues appends one embedding.
func appendValues(dst []byte, v *format.Vector) ([]byte, error) {
	dst, err := v.AppendNumbers(append(dst, `{"values":`...))
	return append(dst, '}'), err
}

// resource is the name of a model as requests for embeddings write it.
func resource(model string) string {
	if strings.HasPrefix(model, "models/") || strings.HasPrefix(model, "tunedModels/") {
		return model
	}
	return "models/" + model
}

// Interface guards.
var _ format.Embeddings = Embeddings{}
