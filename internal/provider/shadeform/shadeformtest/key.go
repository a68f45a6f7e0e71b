package shadeformtest

import (
	"net/http"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func write(w http.ResponseWriter, v any) { upstreamtest.WriteJSON(w, http.StatusOK, v) }

// refuse answers with the only structured form of an error.
func refuse(w http.ResponseWriter, code, text string) {
	upstreamtest.WriteJSON(w, http.StatusConflict, map[string]string{"error_code": code, "error": text})
}

// read decodes a body strictly, or answers 400.
func read(w http.ResponseWriter, r *http.Request, into any) bool {
	if upstreamtest.ReadJSON(r, into) != nil {
		http.Error(w, "invalid request body", http.StatusBadRequest)
		return false
	}
	return true
}

type sshKey struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
	IsDefault bool   `json:"is_default"`
}

func (c *Cloud) listKeys(w http.ResponseWriter, _ *http.Request) {
	write(w, map[string]any{"ssh_keys": c.keys})
}

func (c *Cloud) addKey(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name      string `json:"name"`
		PublicKey string `json:"public_key"`
	}
	if !read(w, r, &body) {
		return
	}
	if body.Name == "" || body.PublicKey == "" {
		refuse(w, "INVALID_REQUEST", "name and public_key are required")
		return
	}
	for _, k := range c.keys {
		if k.Name == body.Name {
			refuse(w, "", "ssh key name must be unique")
			return
		}
	}
	k := sshKey{ID: c.id(), Name: body.Name, PublicKey: body.PublicKey}
	c.keys = append(c.keys, k)
	write(w, map[string]string{"id": k.ID})
}
