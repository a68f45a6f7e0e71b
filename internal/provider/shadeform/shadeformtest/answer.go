package shadeformtest

import (
	"net/http"

	"github.com/billetcloud/billet/internal/provider/upstream/upstreamtest"
)

func write(w http.ResponseWriter, v any) { upstreamtest.WriteJSON(w, http.StatusOK, v) }

// refuse is the one structured form of an error.
func refuse(w http.ResponseWriter, code, text string) {
	upstreamtest.WriteJSON(w, http.StatusConflict, map[string]string{"error_code": code, "error": text})
}

// read reads a body strictly, or refuses it.
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
	var ask struct {
		Name      string `json:"name"`
		PublicKey string `json:"public_key"`
	}
	if !read(w, r, &ask) {
		return
	}
	if ask.Name == "" || ask.PublicKey == "" {
		refuse(w, "INVALID_REQUEST", "name and public_key are required")
		return
	}
	for _, k := range c.keys {
		if k.Name == ask.Name {
			refuse(w, "", "ssh key name must be unique")
			return
		}
	}
	k := sshKey{ID: c.id(), Name: ask.Name, PublicKey: ask.PublicKey}
	c.keys = append(c.keys, k)
	write(w, map[string]string{"id": k.ID})
}
