package registry

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
)

// exactName is how the fields of definitions are named.
var exactName = regexp.MustCompile(`^[a-z][a-z0-9_]*$`)

// checkNames refuses a definition that is no object, and fields that are not written
// as they are named. The decoder would take Token for token, and a secret in it would
// be found neither when secrets are sealed nor when they are masked.
func checkNames(spec json.RawMessage) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(spec, &fields) != nil || fields == nil {
		return &Error{Code: CodeInvalid, Message: "the definition must be an object"}
	}
	if err := checkFields("", fields); err != nil {
		return err
	}
	var credentials []map[string]json.RawMessage
	if json.Unmarshal(fields["credentials"], &credentials) != nil {
		return nil // there are none, or the decoder tells what is wrong
	}
	for i, c := range credentials {
		if err := checkFields(fmt.Sprintf("credentials[%d].", i), c); err != nil {
			return err
		}
	}
	return nil
}

func checkFields(at string, fields map[string]json.RawMessage) error {
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !exactName.MatchString(name) {
			return &Error{Code: CodeInvalid, Field: at + name, Message: "unknown field; fields are written in lower case"}
		}
	}
	return nil
}
