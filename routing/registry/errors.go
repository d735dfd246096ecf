package registry

import (
	"errors"
	"regexp"
	"strings"
)

// Code classifies an Error.
type Code string

// The codes of errors.
const (
	// CodeInvalid: a definition is not one that can be used.
	CodeInvalid Code = "invalid"
	// CodeUnknown: there is no such definition.
	CodeUnknown Code = "not_found"
	// CodeExists: there is already a definition of that name.
	CodeExists Code = "exists"
	// CodeDeclared: the definition comes from the config, and is changed there.
	CodeDeclared Code = "declared"
	// CodeStale: the definition has changed since the caller read it.
	CodeStale Code = "stale"
	// CodeInUse: others refer to the definition.
	CodeInUse Code = "in_use"
	// CodeObserve: the config does not allow managed definitions.
	CodeObserve Code = "read_only"
	// CodeNoSecretKey: a secret cannot be stored, because no secret key is set.
	CodeNoSecretKey Code = "no_secret_key"
	// CodeStore: the store does not take writes now.
	CodeStore Code = "store_unavailable"
	// CodeNoSpace: there is too little room for the store.
	CodeNoSpace Code = "no_space"
)

// Error is why a change was refused. Nothing has changed then.
type Error struct {
	Code    Code
	Message string
	// Field is the path of the field it is about, below the definition. Default: the
	// definition as a whole.
	Field string
	// ID is the definition it is about.
	ID ID
	// Impact is what refers to a definition that is in use.
	Impact []Impact
}

// Error implements error.
func (e *Error) Error() string {
	if e.Field != "" {
		return e.Field + ": " + e.Message
	}
	return e.Message
}

// fieldPath is how the errors of configs begin: the path of a field.
var fieldPath = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_-]*(?:\[[^\]]*\]|\.[A-Za-z0-9_-]+)*): `)

// Invalid makes the error for a definition that was refused. The path in front of
// the message, which configs have, becomes the field.
func Invalid(id ID, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	message := strings.TrimPrefix(err.Error(), string(id.Kind)+"."+id.Name)
	message = strings.TrimLeft(strings.TrimPrefix(message, "."), " :")
	e := &Error{Code: CodeInvalid, ID: id, Message: message}
	if m := fieldPath.FindStringSubmatch(message); m != nil {
		e.Field, e.Message = m[1], message[len(m[0]):]
	}
	return e
}

// problemOf is why a managed definition is not used.
func problemOf(id ID, err error) string { return Invalid(id, err).Error() }
