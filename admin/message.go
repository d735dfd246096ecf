package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/caddy-ai-gateway/caddy-ai-gateway/routing"
)

// maxBody is the largest request body in bytes.
const maxBody = 1 << 20

// maxText is the longest text that a person may leave behind, in characters.
const maxText = 256

// Error is a refusal that the caller can do something about.
type Error struct {
	// Status is the HTTP status of the answer, 400 and above.
	Status int `json:"-"`
	// Code names the refusal for programs, such as unknown_upstream.
	Code string `json:"code"`
	// Message tells people what is wrong and what to do.
	Message string `json:"message"`
	// Field is the path of the field that is refused. Default: none.
	Field string `json:"field,omitempty"`
	// Impact is what refers to a definition that is in use. Default: none.
	Impact []impact `json:"impact,omitempty"`
}

// Error implements error.
func (e *Error) Error() string { return e.Message }

// invalid refuses a field of the request.
func invalid(field, message string) *Error {
	return &Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: message, Field: field}
}

// fail answers with an error. What is no refusal is our own fault and is logged.
func (a *API) fail(w http.ResponseWriter, err error) {
	refused := a.told(err)
	a.answer(w, refused.Status, map[string]*Error{"error": refused})
}

// told is what a caller is told of an error; nil for none. What is our own fault is
// told to the log instead.
func (a *API) told(err error) *Error {
	refused := refusalOf(err)
	if refused != nil && refused.Code == codeInternal {
		a.logger.Error("management request failed", zap.Error(err))
	}
	return refused
}

// codeInternal is the code of what is our own fault.
const codeInternal = "internal"

// refusalOf is what a caller is told of an error; nil for none.
func refusalOf(err error) *Error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*Error](translated(err)); ok {
		return refused
	}
	if errors.Is(err, routing.ErrNotPersisted) {
		return &Error{
			Status: http.StatusServiceUnavailable, Code: "not_stored",
			Message: "this is in force, but a restart would forget it: " + err.Error(),
		}
	}
	return &Error{Status: http.StatusInternalServerError, Code: codeInternal, Message: "this is a fault of the gateway, or of what it stands on; its log says more"}
}

// answer sends a document.
func (a *API) answer(w http.ResponseWriter, status int, document any) {
	body, err := json.Marshal(document)
	if err != nil {
		a.logger.Error("writing an answer of the management API", zap.Error(err))
		status, body = http.StatusInternalServerError, []byte(`{"error":{"code":"internal","message":"the answer cannot be written as JSON"}}`)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(status)
	w.Write(append(body, '\n')) // a client that has left is no failure of ours
}

// guard refuses what a web page of somebody else could make a browser send. A form
// or a simple script can post, but not this content type without asking first.
func (a *API) guard(r *http.Request) error {
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		return nil
	}
	if a.cross.Check(r) != nil {
		return &Error{Status: http.StatusForbidden, Code: "cross_origin", Message: "changes from pages of another origin are refused"}
	}
	if r.Method == http.MethodDelete && r.ContentLength == 0 {
		return nil // no page can send it without being asked whether it may
	}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if kind == binary && r.URL.Path == "/restore" {
		return nil // no form of a page can send that type
	}
	if err != nil || kind != "application/json" {
		return &Error{Status: http.StatusUnsupportedMediaType, Code: "unsupported_media_type", Message: "send the header Content-Type: application/json"}
	}
	return nil
}

// readBody decodes the request's one document into a struct. An empty body stands
// for an empty object; a field that the struct does not have is refused.
func readBody(w http.ResponseWriter, r *http.Request, into any) error {
	body, err := readAll(w, r)
	if err != nil {
		return err
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badBody(err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return invalid("", "there is more in the body than one JSON document")
	}
	return nil
}

// readAll reads the request's body.
func readAll(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, &Error{Status: http.StatusRequestEntityTooLarge, Code: "body_too_large", Message: "the body is larger than 1 MiB"}
	}
	if err != nil {
		return nil, invalid("", "the body cannot be read: "+err.Error())
	}
	return body, nil
}

// badBody tells what is wrong with a body, and where.
func badBody(err error) *Error {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return invalid(wrong.Field, "must be "+kindOf(wrong)+", not "+wrong.Value)
	}
	if quoted, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		if name, err := strconv.Unquote(quoted); err == nil {
			return invalid(name, "there is no such field here")
		}
	}
	return invalid("", "the body is not one JSON object: "+err.Error())
}

// kindOf is what JSON calls the type of a field.
func kindOf(wrong *json.UnmarshalTypeError) string {
	if wrong.Field == "" {
		return "an object"
	}
	return "a " + wrong.Type.Kind().String()
}

// actor is who asks: the user that Caddy has authenticated, on a site or by a
// client certificate; "admin" where it knows no users, as on the local endpoint.
func actor(r *http.Request) string {
	if repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer); ok {
		if user, ok := repl.GetString("http.auth.user.id"); ok && user != "" {
			return printable(user)
		}
	}
	if r.TLS != nil && len(r.TLS.VerifiedChains) > 0 {
		if name := r.TLS.VerifiedChains[0][0].Subject.CommonName; name != "" {
			return printable(name)
		}
	}
	return "admin"
}

// remote is the address of who asks, without the port.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr // a Unix socket has no port
	}
	return host
}

// printable makes a text safe to show: the first maxText characters, without
// those that move the cursor or turn the text around.
func printable(text string) string {
	var b strings.Builder
	n := 0
	for _, r := range text {
		if n++; n > maxText {
			break
		}
		if unprintable(r) {
			r = utf8.RuneError
		}
		b.WriteRune(r)
	}
	return b.String()
}

// unprintable says whether a character controls a terminal or a text's direction.
func unprintable(r rune) bool {
	return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, unicode.Bidi_Control)
}
