package latitude

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider"
	"github.com/billetcloud/billet/internal/provider/upstream"
)

// keysFor is how long the list of keys is taken from memory for a key that it shows.
const keysFor = time.Minute

// key is an SSH key as the cloud has it.
type key struct {
	ID        string `json:"-"`
	Name      string `json:"name"`
	PublicKey string `json:"public_key"`
}

func (k key) is(name string) bool {
	return upstream.KeyName(k.PublicKey) == name || k.PublicKey == "" && k.Name == name
}

func (l *Adapter) fetchKeys(ctx context.Context) ([]key, error) {
	list, _, err := l.all(ctx, "/ssh_keys", nil)
	if err != nil {
		return nil, err
	}
	out := make([]key, 0, len(list))
	for _, r := range list {
		k := key{}
		if err := json.Unmarshal(r.Attributes, &k); err != nil {
			l.note(ctx, "what cannot be read at /ssh_keys", r.ID)
			continue
		}
		k.ID = r.ID
		out = append(out, k)
	}
	return out, nil
}

// keyID returns the id of the key of that upstream.KeyName; "" where the cloud has none.
func (l *Adapter) keyID(ctx context.Context, name string, fresh bool) (string, error) {
	list, err := l.keys.Recent(ctx, keysFor)
	if fresh {
		list, err = l.keys.Fresh(ctx)
	}
	if err != nil {
		return "", err
	}
	if i := slices.IndexFunc(list, func(k key) bool { return k.is(name) }); i >= 0 {
		return list[i].ID, nil
	}
	return "", nil
}

// findKey returns the id of the key with that material; "" where the cloud has none.
func (l *Adapter) findKey(ctx context.Context, line string) (string, error) {
	known, err := l.keyID(ctx, upstream.KeyName(line), false)
	if err == nil && known == "" {
		known, err = l.keyID(ctx, upstream.KeyName(line), true)
	}
	return known, err
}

func (l *Adapter) addKey(ctx context.Context, name, public string) (string, error) {
	var answer struct{ Data resource }
	err := l.send(ctx, http.MethodPost, "/ssh_keys", "ssh_keys", key{Name: name, PublicKey: public}, &answer)
	l.keys.Forget(context.WithoutCancel(ctx))
	return answer.Data.ID, err
}

// keysNamed returns the ids of keys that were uploaded before.
func (l *Adapter) keysNamed(ctx context.Context, names []string) ([]string, error) {
	var ids []string
	for _, name := range names {
		known, err := l.keyID(ctx, name, true)
		if err != nil {
			return nil, err
		}
		if known != "" {
			ids = append(ids, known)
		}
	}
	if len(ids) < len(names) || len(ids) == 0 { // it would be installed with fewer keys than its renter has
		return nil, rejected("This machine cannot be reinstalled: the provider does not have its SSH keys any more. Deploy a new one.")
	}
	return ids, nil
}

// keysLine begins the line of a record that names the keys of its machine.
const keysLine = "# billet-keys:"

// userData is an object of user data.
type userData struct {
	Description string `json:"description"`
	Content     string `json:"content"` // base64
}

// record is what a machine was launched with.
type record struct {
	id        string
	keys      []string // by upstream.KeyName
	cloudInit bool
}

// text is the cloud-config of the request, with the names of its keys in the second line.
func text(r provider.LaunchRequest) string {
	first, rest, _ := strings.Cut(r.CloudInit, "\n")
	if r.CloudInit == "" {
		first = "#cloud-config"
	}
	var names []string
	for _, k := range r.AuthorizedKeys {
		if name := upstream.KeyName(k); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.TrimRight(first, "\r") + "\n" + keysLine + " " + strings.Join(names, " ") + "\n" + rest
}

// read takes a record from its object; ok is false where the object is none.
func (u userData) read() (r record, ok bool) {
	content, err := base64.StdEncoding.DecodeString(strings.TrimSpace(u.Content))
	if err != nil {
		return record{}, false
	}
	_, rest, _ := strings.Cut(string(content), "\n")
	line, rest, _ := strings.Cut(rest, "\n")
	names, ok := strings.CutPrefix(line, keysLine)
	return record{keys: strings.Fields(names), cloudInit: strings.TrimSpace(rest) != ""}, ok
}

// write stores the record of a machine. One that is stored again after a lost answer says the same.
func (l *Adapter) write(ctx context.Context, r provider.LaunchRequest) (string, error) {
	var answer struct{ Data resource }
	err := l.send(ctx, http.MethodPost, "/user_data", "user_data", userData{
		Description: upstream.Mark(r.Reference), Content: base64.StdEncoding.EncodeToString([]byte(text(r))),
	}, &answer)
	if err == nil && answer.Data.ID == "" {
		err = unavailable("an object of user data without an id was made")
	}
	return answer.Data.ID, err
}

// recorded reads the record of a machine.
func (l *Adapter) recorded(ctx context.Context, reference id.ID) (record, error) {
	list, _, err := l.all(ctx, "/user_data", nil)
	if err != nil {
		return record{}, err
	}
	for _, r := range list {
		var u userData
		if json.Unmarshal(r.Attributes, &u) != nil || u.Description != upstream.Mark(reference) {
			continue
		}
		if found, ok := u.read(); ok {
			found.id = r.ID
			return found, nil
		}
	}
	return record{}, nil
}

// erase deletes a record, if there is one. One that stays behind does no harm.
func (l *Adapter) erase(ctx context.Context, record string) {
	if record == "" {
		return
	}
	if err := l.send(ctx, http.MethodDelete, "/user_data/"+url.PathEscape(record), "", nil, nil); err != nil {
		l.account.Log.InfoContext(ctx, "an object of user data stays behind", "provider", l.account.Slug, "id", upstream.Line(record), "error", err)
	}
}
