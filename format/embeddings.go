package format

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"
	"strconv"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/tape"
)

// Embeddings is the codec of a format of embeddings. Its methods are safe for
// concurrent use.
type Embeddings interface {
	ErrorCodec
	// DecodeEmbedRequest reads a client's request. The result holds views into
	// the document. A request that cannot be valid is refused with a *chat.Error
	// of kind ErrInvalidRequest that names the field.
	DecodeEmbedRequest(doc tape.Value) (*EmbedRequest, error)
	// EncodeEmbedRequest writes r for an upstream under its own name of the
	// model. What it drops is reported; what the format cannot express is refused
	// with a *chat.Error.
	EncodeEmbedRequest(b *Body, r *EmbedRequest, model string) (chat.Report, error)
	// InspectVectors checks that an answer that is passed through has the
	// format's shape, and reads its usage. It does not index the answer, which
	// may hold millions of numbers. An error object is a *chat.Error, and so is a
	// body of another shape.
	InspectVectors(body []byte) (chat.Usage, error)
	// DecodeVectors reads an upstream's answer about n texts, in their order. An
	// answer about more or fewer is a *chat.Error, and so are an error object and
	// a body of another shape.
	DecodeVectors(doc tape.Value, n int) (*Vectors, error)
	// EncodeVectors appends the answer to r for the client, which asked for model
	// by that name. It fails on vectors that are neither numbers nor base64.
	EncodeVectors(dst []byte, v *Vectors, r *EmbedRequest, model string) ([]byte, error)
}

// EmbedRequest is a request for embeddings in neutral form.
type EmbedRequest struct {
	// Texts are what is to be embedded, in order.
	Texts []chat.Literal
	// Tokens says that the client has sent the numbers of tokens instead of texts.
	// They mean something to the tokenizer of one model only, so no other format
	// takes them. Texts is empty then.
	Tokens bool
	// List says that the request is one for several texts, even if there is one
	// only, in formats where that is another request.
	List bool
	// Dimensions is the length of the vectors; nil leaves it to the model.
	Dimensions chat.Number
	// Base64 asks for vectors as base64 of little-endian float32 numbers.
	Base64 bool
	// Others are the fields without a neutral meaning, for the report.
	Others []string
}

// Vectors is an answer with embeddings in neutral form.
type Vectors struct {
	// Of are the vectors, in the order of the texts.
	Of []Vector
	// Usage has input tokens only; unknown usage is written as zeros.
	Usage chat.Usage
}

// Vector is one embedding: Numbers or Base64.
type Vector struct {
	// Numbers is a JSON array of numbers, each with its digits as they were.
	Numbers tape.Value
	// Base64 is the base64 text of little-endian float32 numbers, without quotes;
	// nil if Numbers holds them.
	Base64 []byte
}

// VectorOf reads a vector in either form; ok is false for anything else, also
// for a vector without numbers.
func VectorOf(v tape.Value) (vector Vector, ok bool) {
	switch v.Kind() {
	case tape.Array:
		return Vector{Numbers: v}, v.Len() > 0
	case tape.String:
		text := chat.AppendUnquoted(nil, v.Literal())
		return Vector{Base64: text}, len(text) > 0
	default:
		return Vector{}, false
	}
}

// AppendNumbers appends the vector as a JSON array. Numbers that came as such
// keep their digits.
func (v *Vector) AppendNumbers(dst []byte) ([]byte, error) {
	if v.Base64 == nil {
		for element := range v.Numbers.Elements {
			if element.Kind() != tape.Number {
				return dst, badVector("it has an element that is not a number")
			}
		}
		return append(dst, v.Numbers.Raw()...), nil
	}
	floats, err := base64.StdEncoding.AppendDecode(nil, v.Base64)
	if err != nil {
		return dst, badVector("it is not base64")
	}
	if len(floats)%4 != 0 {
		return dst, badVector("its length is not that of whole numbers")
	}
	dst = append(dst, '[')
	for i := 0; i < len(floats); i += 4 {
		f := math.Float32frombits(binary.LittleEndian.Uint32(floats[i:]))
		if f64 := float64(f); math.IsNaN(f64) || math.IsInf(f64, 0) {
			return dst, badVector("it has an element that is not a number")
		}
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = strconv.AppendFloat(dst, float64(f), 'g', -1, 32)
	}
	return append(dst, ']'), nil
}

// AppendBase64 appends the vector as a JSON string: the base64 text of its
// numbers as little-endian float32.
func (v *Vector) AppendBase64(dst []byte) ([]byte, error) {
	if v.Base64 != nil {
		return chat.AppendQuoted(dst, v.Base64), nil
	}
	floats := make([]byte, 0, 4*v.Numbers.Len())
	for element := range v.Numbers.Elements {
		if element.Kind() != tape.Number {
			return dst, badVector("it has an element that is not a number")
		}
		f, err := strconv.ParseFloat(string(element.Raw()), 32)
		if err != nil {
			return dst, badVector("it has a number that is too large")
		}
		floats = binary.LittleEndian.AppendUint32(floats, math.Float32bits(float32(f)))
	}
	dst = append(dst, '"')
	dst = base64.StdEncoding.AppendEncode(dst, floats)
	return append(dst, '"'), nil
}

// badVector is the error of a vector that cannot be read.
func badVector(why string) error {
	return chat.BadAnswer("the upstream's answer has a vector that cannot be read: " + why)
}

// WrongCount is the error of an answer with got vectors for want texts.
func WrongCount(got, want int) error {
	return chat.BadAnswer(fmt.Sprintf("the upstream's answer has %d vectors for %d texts", got, want))
}

// embeddings are the codecs of the formats of embeddings.
var embeddings = map[ID]Embeddings{}

// RegisterEmbeddings makes a codec known. It is called from init functions and
// panics on a repeated id.
func RegisterEmbeddings(id ID, codec Embeddings) {
	if _, ok := embeddings[id]; ok {
		panic(fmt.Sprintf("format %s is registered twice", id))
	}
	embeddings[id] = codec
}

// EmbeddingsOf returns the codec of a format of embeddings.
func EmbeddingsOf(id ID) (Embeddings, bool) {
	c, ok := embeddings[id]
	return c, ok
}
