package lambdatest

import "net/http"

type sshKey struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

func (c *Cloud) listKeys(w http.ResponseWriter, _ *http.Request) {
	write(w, append([]sshKey{}, c.keys...))
}

// addKey generates a pair where no public key is sent.
func (c *Cloud) addKey(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Name      string `json:"name"`
		PublicKey string `json:"public_key"`
	}
	if !read(w, r, &body) {
		return
	}
	if body.Name == "" || len(body.Name) > 64 || len(body.PublicKey) > 4096 {
		refuse(w, http.StatusBadRequest, "global/invalid-parameters")
		return
	}
	for _, k := range c.keys {
		if k.Name == body.Name {
			refuse(w, http.StatusBadRequest, "global/duplicate")
			return
		}
	}
	made := sshKey{ID: c.id(), Name: body.Name, PublicKey: body.PublicKey}
	answer := map[string]string{"id": made.ID, "name": made.Name}
	if made.PublicKey == "" {
		made.PublicKey, answer["private_key"] = "ssh-ed25519 of the cloud", "a secret that is shown once"
	}
	answer["public_key"] = made.PublicKey
	c.keys = append(c.keys, made)
	write(w, answer)
}
