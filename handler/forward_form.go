package handler

import (
	"bytes"
	"mime"
	"net/textproto"
	"strings"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/format"
	"github.com/caddy-ai-gateway/caddy-ai-gateway/format/chat"
)

// form is a body of the type multipart/form-data: the bytes as they came, and
// where in them the parts stand.
type form struct {
	data      []byte
	delimiter []byte // stands in front of each part
	parts     []formPart
	tail      int // where the last delimiter begins
	model     string
	named     bool // a part names the model
	stream    bool
}

// formPart is a part with its delimiter in front: data[start:body] are the
// delimiter and the headers, data[body:end] is what is in it.
type formPart struct {
	start, body, end int
	name             string
}

const (
	// maxParts bounds the parts of a form: images are edited sixteen at a time.
	maxParts = 128
	// maxPartHeader bounds the headers of a part, in bytes.
	maxPartHeader = 4 << 10
	// maxBoundary is what RFC 2046 allows for a boundary, in bytes.
	maxBoundary = 70
)

// formBoundary returns what stands between the parts of a form. isForm is false
// for other content types.
func formBoundary(contentType string) (boundary string, isForm bool, err error) {
	start, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.TrimSpace(start), "multipart/form-data") {
		return "", false, nil
	}
	_, params, err := mime.ParseMediaType(contentType)
	boundary = params["boundary"]
	if err != nil || boundary == "" || len(boundary) > maxBoundary {
		return "", true, chat.Invalid("", "the content type multipart/form-data needs a boundary of at most 70 characters")
	}
	return boundary, true, nil
}

// brokenForm is the error of a body that is no form.
func brokenForm(why string) error {
	return chat.Invalid("", "the request body is not a form of the type multipart/form-data: "+why)
}

// readForm finds the parts of a form (RFC 7578).
func readForm(data []byte, boundary string) (*form, error) {
	delimiter := []byte("\r\n--" + boundary)
	f := &form{data: data, delimiter: delimiter}
	at := len(delimiter) - 2 // behind the first delimiter, which may lack the line break
	switch {
	case bytes.HasPrefix(data, delimiter[2:]):
	case bytes.Contains(data, delimiter):
		at = bytes.Index(data, delimiter) + len(delimiter)
	default:
		return nil, brokenForm("the boundary does not stand in it")
	}
	start := max(at-len(delimiter), 0)
	for !bytes.HasPrefix(data[at:], []byte("--")) {
		if len(f.parts) == maxParts {
			return nil, brokenForm("it has more than 128 parts")
		}
		part, err := readPart(data, start, at)
		if err != nil {
			return nil, err
		}
		length := bytes.Index(data[part.body:], delimiter)
		if length < 0 {
			return nil, brokenForm("its last part has no end")
		}
		part.end = part.body + length
		f.parts = append(f.parts, part)
		start, at = part.end, part.end+len(delimiter)
	}
	if len(f.parts) == 0 {
		return nil, brokenForm("it has no parts")
	}
	f.tail = start
	return f, f.readFields()
}

// readPart reads the headers of a part whose delimiter stands at data[start:at].
func readPart(data []byte, start, at int) (formPart, error) {
	line := bytes.Index(data[at:], []byte("\r\n"))
	if line < 0 || len(bytes.TrimSpace(data[at:at+line])) > 0 {
		return formPart{}, brokenForm("something stands behind a boundary")
	}
	at += line + 2
	rest := data[at:min(len(data), at+maxPartHeader)]
	length := bytes.Index(rest, []byte("\r\n\r\n"))
	if length < 0 {
		return formPart{}, brokenForm("the headers of a part have no end")
	}
	part := formPart{start: start, body: at + length + 4}
	for header := range bytes.SplitSeq(rest[:length], []byte("\r\n")) {
		key, value, _ := bytes.Cut(header, []byte(":"))
		if textproto.CanonicalMIMEHeaderKey(string(bytes.TrimSpace(key))) != "Content-Disposition" {
			continue
		}
		_, params, err := mime.ParseMediaType(string(bytes.TrimSpace(value)))
		if err != nil {
			return formPart{}, brokenForm("the name of a part cannot be read")
		}
		part.name = params["name"]
	}
	if part.name == "" {
		return formPart{}, brokenForm("a part has no name")
	}
	return part, nil
}

// readFields reads the parts that routing needs.
func (f *form) readFields() error {
	models := 0
	for _, part := range f.parts {
		value := f.data[part.body:part.end]
		switch part.name {
		case "model":
			if models++; models > 1 {
				return chat.Invalid("model", `the field "model" stands twice in the request`)
			}
			f.model, f.named = string(value[:min(len(value), maxModelName+1)]), true
		case "stream":
			f.stream = strings.EqualFold(string(value[:min(len(value), len("false"))]), "true")
		}
	}
	return nil
}

// write writes the form for an upstream that calls the model by another name,
// without the parts that no client may send on.
func (f *form) write(b *format.Body, model string) {
	from := 0
	for _, part := range f.parts {
		switch {
		case neverForwarded[part.name]:
			b.View(f.data[from:part.start])
			from = part.end
		case part.name == "model":
			b.View(f.data[from:part.body])
			b.Str(model)
			from = part.end
		}
	}
	if !f.named {
		b.View(f.data[from:f.tail])
		b.View(f.delimiter)
		b.Str("\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n" + model)
		from = f.tail
	}
	b.View(f.data[from:])
}
