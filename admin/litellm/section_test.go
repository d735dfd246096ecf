package litellm

import (
	"slices"
	"testing"
)

// A value in the place of a whole section is named like any other.
func TestTextInThePlaceOfASectionIsNamed(t *testing.T) {
	const entry = "model_list:\n- model_name: a\n  litellm_params:\n    model: openai/b\n"
	for _, tc := range []struct{ text, path string }{
		{entry + "    extra_headers: os.environ/HEADERS\n", "model_list[0].litellm_params.extra_headers"},
		{entry + "    headers: '{\"X-Team\": \"a\"}'\n", "model_list[0].litellm_params.headers"},
		{entry + "  model_info: chat\n", "model_list[0].model_info"},
		{entry + "- openai/gpt-4o\n", "model_list[1]"},
		{entry + "- model_name: b\n  litellm_params: openai/gpt-4o\n", "model_list[1]"},
		{entry + "litellm_settings: os.environ/SETTINGS\n", "litellm_settings"},
		{entry + "router_settings: true\n", "router_settings"},
		{entry + "general_settings: 7\n", "general_settings"},
		{entry + "environment_variables: .env\n", "environment_variables"},
		{entry + "credential_list: vault\n", "credential_list"},
		{entry + "credential_list: [vault]\n", "credential_list[0]"},
		{entry + "credential_list:\n- credential_name: c\n  credential_values: vault\n", "credential_list[0].credential_values"},
	} {
		t.Run(tc.path, func(t *testing.T) {
			result, err := Convert([]byte(tc.text))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(result.Unmapped, func(n Note) bool { return n.Path == tc.path && n.Reason != "" }) {
				t.Errorf("%s is not on the list: %+v", tc.path, result.Unmapped)
			}
		})
	}
}
