package upstream

import (
	"errors"
	"slices"
	"testing"
)

// A service whose list breaks off after its first page is not asked for another list
// instead: that is not what was begun, and may have half of it.
func TestListThatBreaksOffIsNotReplaced(t *testing.T) {
	for name, second := range map[string]string{
		"the page is refused":   "400 ",
		"the page is not found": "404 ",
		"the page is no JSON":   "oops",
	} {
		t.Run(name, func(t *testing.T) {
			s := newListServer(t, map[string]string{
				"/v1beta/models?pageSize=1000":              `{"models":[{"name":"models/a"},{"name":"models/b"}],"nextPageToken":"p2"}`,
				"/v1beta/models?pageSize=1000&pageToken=p2": second,
				"/v1/models": `{"data":[{"id":"z"}]}`,
			})
			u := mustProvision(t, "mine", `{"base_url":"`+s.URL+`","formats":["gemini"]}`)
			got, err := u.ListModels(t.Context())
			problem, ok := errors.AsType[*ListError](err)
			if !ok || problem.Endpoint != "gemini_models" || len(s.asked) != 2 {
				t.Errorf("got %s %q, %v; asked for %q", got.Endpoint, ids(got), err, s.asked)
			}
		})
	}
}

// An answer that tells of an error is no list, although it has one that is empty: a
// service that has lost its models, or wants a key, would seem to have none.
func TestListBesideAnErrorIsNone(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		want   []string // nil: an error
	}{
		"null beside an error":           {`{"data":null,"error":{"message":"no such key","code":401}}`, nil},
		"empty beside an error":          {`{"object":"list","data":[],"error":{"message":"database is locked"}}`, nil},
		"empty beside an error in words": {`{"data":[],"error":"not authorised"}`, nil},
		"a part beside an error":         {`{"data":[{"id":"a"}],"error":{"message":"2 of 3 backends failed"}}`, nil},
		"null beside a message":          {`{"code":401,"message":"invalid token","data":null}`, nil},
		"no success":                     {`{"success":false,"message":"invalid token","data":null}`, nil},
		"an error that is null":          {`{"data":[{"id":"a"}],"error":null}`, []string{"a"}},
		"an error that is empty":         {`{"data":[{"id":"a"}],"error":""}`, []string{"a"}},
		"an empty object of an error":    {`{"data":[{"id":"a"}],"error":{}}`, []string{"a"}},
		"an error that is false":         {`{"data":[{"id":"a"}],"error":false}`, []string{"a"}},
		"an empty list and a message":    {`{"message":"ok","data":[]}`, []string{}},
		"success":                        {`{"success":true,"data":[{"id":"a"}]}`, []string{"a"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newListServer(t, map[string]string{"/v1/models": tc.answer})
			u := mustProvision(t, "vllm", `{"base_url":"`+s.URL+`"}`)
			got, err := u.ListModels(t.Context())
			if tc.want != nil {
				if err != nil || !slices.Equal(ids(got), tc.want) {
					t.Errorf("got %q, %v", ids(got), err)
				}
				return
			}
			if problem, ok := errors.AsType[*ListError](err); !ok || problem.Problem != ListNotAList {
				t.Errorf("got %q, %v", ids(got), err)
			}
		})
	}
}

// A list of another style that goes on is followed or refused, not taken for whole.
func TestListOfAnotherStyleThatGoesOn(t *testing.T) {
	for name, answer := range map[string]string{
		"in Google's way": `{"models":[{"name":"a"}],"nextPageToken":"p2"}`,
		"in Cohere's way": `{"models":[{"name":"a"}],"next_page_token":"p2"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := newListServer(t, map[string]string{"/v1/models": answer})
			u := mustProvision(t, "vllm", `{"base_url":"`+s.URL+`"}`)
			got, err := u.ListModels(t.Context())
			if err == nil {
				t.Errorf("got %q as if that were all", ids(got))
			}
		})
	}
}
