package cloudinit

// shape is what a value of the cloud-config schema may be. A value fits a shape if it fits one of
// its alternatives.
type shape struct {
	any      bool              // any YAML value
	scalars  []scalar          // kinds of plain values
	words    []string          // the only strings that fit, if there are any
	items    *shape            // a list of these
	fields   map[string]*shape // a mapping with these names
	others   *shape            // a mapping with any other names
	required []string          // names that a mapping must have
}

// scalar is a kind of plain value.
type scalar string

const (
	text    scalar = "a string"
	boolean scalar = "true or false"
	integer scalar = "a whole number"
	number  scalar = "a number"
	null    scalar = "null"
)

func of(kinds ...scalar) *shape { return &shape{scalars: kinds} }

func words(list ...string) *shape { return &shape{scalars: []scalar{text}, words: list} }

func list(items *shape) *shape { return &shape{items: items} }

func mapping(fields map[string]*shape, required ...string) *shape {
	return &shape{fields: fields, required: required}
}

// either has the alternatives of all of them. At most one of them may be a list, and one a mapping.
func either(shapes ...*shape) *shape {
	out := &shape{}
	for _, s := range shapes {
		out.any = out.any || s.any
		out.scalars = append(out.scalars, s.scalars...)
		out.words = append(out.words, s.words...)
		if s.items != nil {
			out.items = s.items
		}
		if s.fields != nil || s.others != nil {
			out.fields, out.others, out.required = s.fields, s.others, s.required
		}
	}
	return out
}

var (
	str       = of(text)
	yes       = of(boolean)
	whole     = of(integer)
	anything  = &shape{any: true}
	strs      = list(str)
	open      = &shape{others: anything}
	named     = &shape{others: str}
	command   = either(str, strs)
	strOrBool = of(text, boolean)
)

// keys are the keys of a cloud-config and their values, as in the schema that cloud-init 25
// publishes as schema-cloud-config-v1.json. What is deprecated there is accepted. Modules that
// configure other programs (apt, chef, puppet, …) are checked at their top level only.
var keys = map[string]*shape{
	"allow_public_ssh_keys":      yes,
	"ansible":                    open,
	"apk_repos":                  open,
	"apt":                        open,
	"apt_pipelining":             of(integer, boolean, text),
	"apt_reboot_if_required":     yes,
	"apt_update":                 yes,
	"apt_upgrade":                yes,
	"authkey_hash":               str,
	"autoinstall":                open,
	"bootcmd":                    list(command),
	"byobu_by_default":           str,
	"ca-certs":                   certificates,
	"ca_certs":                   certificates,
	"chef":                       open,
	"chpasswd":                   passwords,
	"cloud_config_modules":       list(anything),
	"cloud_final_modules":        list(anything),
	"cloud_init_modules":         list(anything),
	"create_hostname_file":       yes,
	"device_aliases":             named,
	"disable_ec2_metadata":       yes,
	"disable_root":               yes,
	"disable_root_opts":          str,
	"disk_setup":                 &shape{others: open},
	"drivers":                    open,
	"fan":                        open,
	"final_message":              str,
	"fqdn":                       str,
	"fs_setup":                   list(open),
	"groups":                     either(str, list(either(str, &shape{others: command})), &shape{others: command}),
	"growpart":                   growpart,
	"grub-dpkg":                  open,
	"grub_dpkg":                  open,
	"hostname":                   str,
	"keyboard":                   keyboard,
	"landscape":                  open,
	"launch-index":               whole,
	"locale":                     strOrBool,
	"locale_configfile":          str,
	"lxd":                        open,
	"manage_etc_hosts":           strOrBool,
	"manage_resolv_conf":         yes,
	"mcollective":                open,
	"merge_how":                  either(str, list(open)),
	"merge_type":                 either(str, list(open)),
	"migrate":                    yes,
	"mount_default_fields":       list(of(text, integer, null)),
	"mounts":                     list(list(of(text, integer, null))),
	"no_ssh_fingerprints":        yes,
	"ntp":                        either(of(null), ntp),
	"output":                     open,
	"package_reboot_if_required": yes,
	"package_update":             yes,
	"package_upgrade":            yes,
	"packages":                   list(either(command, &shape{others: list(command)})),
	"password":                   str,
	"phone_home":                 phoneHome,
	"power_state":                powerState,
	"prefer_fqdn_over_hostname":  yes,
	"preserve_hostname":          yes,
	"puppet":                     open,
	"random_seed":                open,
	"reporting":                  &shape{others: open},
	"resize_rootfs":              strOrBool,
	"resolv_conf":                open,
	"rh_subscription":            open,
	"rpi":                        open,
	"rsyslog":                    open,
	"runcmd":                     list(either(command, of(null))),
	"salt_minion":                open,
	"snap":                       open,
	"spacewalk":                  open,
	"ssh":                        open,
	"ssh_authorized_keys":        strs,
	"ssh_deletekeys":             yes,
	"ssh_fp_console_blacklist":   strs,
	"ssh_genkeytypes":            list(words("ecdsa", "ed25519", "rsa")),
	"ssh_import_id":              strs,
	"ssh_key_console_blacklist":  strs,
	"ssh_keys":                   hostKeys,
	"ssh_publish_hostkeys":       open,
	"ssh_pwauth":                 strOrBool,
	"ssh_quiet_keygen":           yes,
	"swap":                       swap,
	"system_info":                open,
	"timezone":                   str,
	"ubuntu_advantage":           open,
	"ubuntu_pro":                 open,
	"updates":                    open,
	"user":                       either(str, user),
	"users":                      either(str, list(either(str, strs, user)), open),
	"vendor_data":                open,
	"version":                    anything,
	"wireguard":                  open,
	"write_files":                list(file),
	"yum_repo_dir":               str,
	"yum_repos":                  &shape{others: open},
	"zypper":                     open,
}

var (
	certificates = mapping(map[string]*shape{"remove-defaults": yes, "remove_defaults": yes, "trusted": strs})
	passwords    = mapping(map[string]*shape{
		"expire": yes, "list": command,
		"users": list(mapping(map[string]*shape{
			"name": str, "type": words("hash", "text", "RANDOM"), "password": str,
		}, "name")),
	})
	growpart = mapping(map[string]*shape{"mode": strOrBool, "devices": strs, "ignore_growroot_disabled": yes})
	keyboard = mapping(map[string]*shape{"layout": str, "model": str, "variant": str, "options": str}, "layout")
	ntp      = mapping(map[string]*shape{
		"pools": strs, "servers": strs, "peers": strs, "allow": strs, "ntp_client": str, "enabled": yes, "config": open,
	})
	phoneHome  = mapping(map[string]*shape{"url": str, "post": command, "tries": whole}, "url")
	powerState = mapping(map[string]*shape{
		"delay": of(text, integer), "mode": words("poweroff", "reboot", "halt"), "message": str, "timeout": whole,
		"condition": either(strOrBool, strs),
	}, "mode")
	hostKeys = mapping(map[string]*shape{
		"rsa_private": str, "rsa_public": str, "rsa_certificate": str, "ecdsa_private": str, "ecdsa_public": str,
		"ecdsa_certificate": str, "ed25519_private": str, "ed25519_public": str, "ed25519_certificate": str,
	})
	swap = mapping(map[string]*shape{"filename": str, "size": of(text, integer), "maxsize": of(text, integer)})
	file = mapping(map[string]*shape{
		"path": str, "content": str, "owner": str, "permissions": of(text, integer), "append": yes, "defer": yes,
		"encoding": words(
			"gz",
			"gzip",
			"gz+base64",
			"gzip+base64",
			"gz+b64",
			"gzip+b64",
			"b64",
			"base64",
			"text/plain",
		),
		"source": mapping(map[string]*shape{"uri": str, "headers": named}, "uri"),
	}, "path")
	user = mapping(map[string]*shape{
		"name": str, "doas": strs, "expiredate": str, "gecos": str, "homedir": str, "inactive": of(text, integer),
		"groups":      either(command, &shape{others: of(null)}),
		"lock-passwd": yes, "lock_passwd": yes, "no-create-home": yes, "no_create_home": yes, "no-log-init": yes,
		"no_log_init": yes, "no-user-group": yes, "no_user_group": yes, "passwd": str, "hashed-passwd": str,
		"hashed_passwd": str, "plain-text-passwd": str, "plain_text_passwd": str, "create-groups": yes,
		"create_groups": yes, "primary-group": str, "primary_group": str, "selinux-user": str, "selinux_user": str,
		"shell": str, "snapuser": str, "ssh_authorized_keys": strs, "ssh-authorized-keys": strs, "ssh-import-id": strs,
		"ssh_import_id": strs, "ssh-redirect-user": yes, "ssh_redirect_user": yes, "system": yes,
		"sudo": either(of(text, null, boolean), list(of(text, null))), "uid": of(integer, text),
	})
)
