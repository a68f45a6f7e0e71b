package latitudetest

import (
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/billetcloud/billet/internal/id"
	"github.com/billetcloud/billet/internal/provider/upstream"
	"golang.org/x/crypto/ssh"
)

// model is a plan of the fake.
type model struct {
	slug, gpu   string
	gpus, vram  int
	features    []string
	hour        float64
	sites, have []string
}

var models = []model{
	{
		"g3-small-x86", "NVIDIA H100", 1, 80, []string{"ssh", "raid", "user_data"}, 2.7800000000000002,
		[]string{"DAL", "FRA"}, []string{"DAL"},
	},
	{
		"g3-large-x86", "NVIDIA H100", 8, 80, []string{"ssh", "raid", "user_data", "sev"}, 17.9,
		[]string{"DAL", "SAO2"}, []string{"DAL", "SAO2"},
	},
	{"g3-gh200", "NVIDIA GH200", 1, 96, []string{"ssh"}, 3.74, []string{"DAL"}, nil},
	{"c3-small-x86", "", 0, 0, []string{"ssh"}, 0.18, []string{"DAL"}, []string{"DAL"}},
}

var operatingSystems = []struct{ slug, name, distro, user string }{
	{"ubuntu_24_04_x64_lts", "Ubuntu 24.04 LTS", "ubuntu", "ubuntu"},
	{"ubuntu24_ml_in_a_box", "Ubuntu 24.04 LTS", "ubuntu", "ubuntu"}, // the same name
	{"debian_12", "Debian 12", "debian", "debian"},
	{"ipxe", "iPXE", "ipxe", ""},
	{"windows_2022_std", "Windows Server 2022", "windows", "Administrator"},
}

var places = []struct {
	slug, name string
	country    any
}{
	{"DAL", "Dallas", map[string]any{"name": "United States", "slug": "united-states"}},
	{"FRA", "Frankfurt", map[string]any{"name": "Germany", "slug": "germany"}},
	{"SAO2", "São Paulo 2", "Brazil"},
}

func (c *Cloud) plans() (out []map[string]any) {
	for _, m := range models {
		have := m.have
		if c.NoCapacity {
			have = nil
		}
		gpu := map[string]any{}
		if m.gpus > 0 {
			gpu = map[string]any{"count": m.gpus, "type": m.gpu, "vram_per_gpu": m.vram, "interconnect": "NVLink"}
		}
		level := "unavailable"
		if len(have) > 0 {
			level = "low"
		}
		out = append(out, resource("plans", "plan_"+m.slug, map[string]any{
			"slug": m.slug, "name": m.slug, "features": m.features,
			"specs": map[string]any{
				"cpu":    map[string]any{"type": "AMD EPYC 9354", "clock": 3.25, "cores": 32, "count": 2},
				"memory": map[string]any{"total": 768},
				"drives": []any{
					map[string]any{"count": 2, "size": "480 GB", "type": "NVME"},
					map[string]any{"count": 2, "size": "3.8 TB", "type": "NVME"},
				},
				"nics": []any{map[string]any{"count": 2, "type": "10 Gbps"}}, "gpu": gpu,
			},
			"regions": []any{map[string]any{
				"name": "Everywhere", "deploys_instantly": have,
				"locations": map[string]any{"available": m.sites, "in_stock": have}, "stock_level": level,
				"pricing": map[string]any{
					"USD": map[string]any{"hour": m.hour, "month": m.hour * 600, "year": nil},
					"BRL": map[string]any{"hour": m.hour * 5},
				},
			}},
		}))
	}
	return out
}

func (c *Cloud) systems() (out []map[string]any) {
	var all []string
	for _, m := range models {
		all = append(all, m.slug)
	}
	for _, s := range operatingSystems {
		out = append(out, resource("operating_systems", "os_"+s.slug, map[string]any{
			"name": s.name, "slug": s.slug, "distro": s.distro, "user": s.user, "version": "1", "provisionable_on": all,
			"features": []string{"ssh", "user_data"},
		}))
	}
	return out
}

func (c *Cloud) regions() (out []map[string]any) {
	for _, p := range places {
		out = append(
			out,
			resource("regions", "loc_"+p.slug, map[string]any{"name": p.name, "slug": p.slug, "country": p.country}),
		)
	}
	return out
}

func (c *Cloud) createKey(w http.ResponseWriter, r *http.Request) {
	var k struct {
		Name      string `json:"name"`
		PublicKey string `json:"public_key"`
		Project   string `json:"project"`
	}
	if !read(w, r, "ssh_keys", &k) {
		return
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.PublicKey))
	if err != nil || k.Name == "" {
		refuse(w, http.StatusUnprocessableEntity, "unprocessable", "Unprocessable entity", "public_key is not a key")
		return
	}
	fingerprint := ssh.FingerprintLegacyMD5(public)
	if slices.ContainsFunc(
		c.keys, func(k map[string]any) bool { return k["attributes"].(map[string]any)["fingerprint"] == fingerprint },
	) {
		refuse(
			w, http.StatusUnprocessableEntity, "unprocessable", "Unprocessable entity",
			"Fingerprint has already been taken",
		)
		return
	}
	made := resource(
		"ssh_keys", c.id("ssh"), map[string]any{"name": k.Name, "public_key": k.PublicKey, "fingerprint": fingerprint},
	)
	c.keys = append(c.keys, made)
	answer(w, http.StatusCreated, map[string]any{"data": made})
}

func (c *Cloud) createData(w http.ResponseWriter, r *http.Request) {
	var d struct {
		Description string `json:"description"`
		Content     string `json:"content"`
	}
	if !read(w, r, "user_data", &d) {
		return
	}
	if _, err := base64.StdEncoding.DecodeString(d.Content); err != nil || d.Content == "" {
		refuse(w, http.StatusUnprocessableEntity, "unprocessable", "Unprocessable entity", "content is not base64")
		return
	}
	made := resource("user_data", c.id("ud"), map[string]any{"description": d.Description, "content": d.Content})
	c.data = append(c.data, made)
	answer(w, http.StatusCreated, map[string]any{"data": made})
}

// delete deletes one of a list by its id.
func (c *Cloud) delete(list *[]map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		before := len(*list)
		if *list = slices.DeleteFunc(
			*list, func(d map[string]any) bool { return d["id"] == r.PathValue("id") },
		); len(*list) == before {
			refuse(w, http.StatusNotFound, "not_found", "Not found", "")
			return
		}
		w.WriteHeader(http.StatusNoContent)
	}
}

// UserData returns the contents of the stored user data, by description.
func (c *Cloud) UserData() map[string]string {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	out := map[string]string{}
	for _, d := range c.data {
		a := d["attributes"].(map[string]any)
		content, _ := base64.StdEncoding.DecodeString(a["content"].(string))
		out[a["description"].(string)] = string(content)
	}
	return out
}

// Keys returns the number of the account's SSH keys.
func (c *Cloud) Keys() int {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	return len(c.keys)
}

// InstalledWith returns the keys and the text of the user data that the machine of that reference
// was last installed with.
func (c *Cloud) InstalledWith(reference id.ID) (keys []string, userData string) {
	c.Mu.Lock()
	defer c.Mu.Unlock()
	for _, s := range c.servers {
		if s.hostname != upstream.Mark(reference) {
			continue
		}
		keys = s.keys
		for _, d := range c.data {
			if d["id"] == s.userData {
				content, _ := base64.StdEncoding.DecodeString(d["attributes"].(map[string]any)["content"].(string))
				userData = string(content)
			}
		}
	}
	return keys, userData
}
