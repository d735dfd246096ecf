package admin

import (
	"bytes"
	"encoding/json"
)

// mergePatch applies a JSON merge patch (RFC 7396). Numbers and everything the
// patch does not name stay as they are written.
func mergePatch(target, patch json.RawMessage) (json.RawMessage, error) {
	if len(bytes.TrimSpace(patch)) == 0 {
		return target, nil
	}
	var changes map[string]json.RawMessage
	if json.Unmarshal(patch, &changes) != nil || changes == nil {
		return nil, invalid("spec", "must be an object")
	}
	return mergeObject(target, changes)
}

func mergeObject(target json.RawMessage, changes map[string]json.RawMessage) (json.RawMessage, error) {
	var members map[string]json.RawMessage
	if json.Unmarshal(target, &members) != nil || members == nil {
		members = make(map[string]json.RawMessage) // another kind of value is replaced
	}
	for name, change := range changes {
		var inner map[string]json.RawMessage
		switch {
		case string(bytes.TrimSpace(change)) == "null":
			delete(members, name)
		case json.Unmarshal(change, &inner) == nil && inner != nil:
			merged, err := mergeObject(members[name], inner)
			if err != nil {
				return nil, err
			}
			members[name] = merged
		default:
			members[name] = change
		}
	}
	return json.Marshal(members)
}
