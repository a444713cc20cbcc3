"""Holds our image descriptors against those that stock CRIU's pycriu ships compiled.

  contract_test.py [--moving] DESCRIPTOR_SET

DESCRIPTOR_SET is what protoc --descriptor_set_out wrote of proto/*.proto. Run by a python that has
pycriu. For every message and enum of ours: the same name, and field by field the same name, number,
type, label, default and (by name) nested type; and no field of theirs that ours lacks. Whatever
differs is printed, all of it. Ours is that of the newest release; what older ones lack is listed.
With --moving, for a release that may be newer than this code, a field that ours lacks is told and is
no failure.
"""

import importlib
import pkgutil
import sys

from google.protobuf import descriptor_pb2
import pycriu.images

OURS = "dumpctl.image."

# What ours may lack: message, field number, and why.
TOLERATED = {
    ("core_entry", number): "registers of another architecture" for number in (6, 8, 9, 10, 11, 12, 13)
}
# What theirs may lack: message, field number, and the release that brought it.
NEWER = {("pagemap_entry", 5): "4.2", ("inventory_entry", 14): "4.2"}
# Message and field number: the name before a release gave it ours.
RENAMED = {("pagemap_entry", 2): "nr_pages"}  # 4.2: compat_nr_pages


def stock_types():
    """Every top-level message and enum of pycriu, by name."""
    types = {}
    for module in pkgutil.iter_modules(pycriu.images.__path__):
        if not module.name.endswith("_pb2"):
            continue
        descriptor = importlib.import_module(f"pycriu.images.{module.name}").DESCRIPTOR
        proto = descriptor_pb2.FileDescriptorProto()
        descriptor.CopyToProto(proto)
        for kind in (proto.message_type, proto.enum_type):
            types.update({(proto.package, entry.name): entry for entry in kind})
    # criu's own package is empty, but for its RPC face.
    return {name: entry for (_, name), entry in types.items()}


def short(type_name):
    """The name of a nested type without its package, which the wire does not carry."""
    name = type_name.lstrip(".")
    return name[len(OURS):] if name.startswith(OURS) else name


def field_facts(field):
    return {
        "name": field.name,
        "type": descriptor_pb2.FieldDescriptorProto.Type.Name(field.type),
        "label": descriptor_pb2.FieldDescriptorProto.Label.Name(field.label),
        "nested type": short(field.type_name),
        "default": field.default_value,
        "packed": field.options.packed,
    }


def compare_message(path, ours, theirs, report):
    our_fields = {field.number: field for field in ours.field}
    their_fields = {field.number: field for field in theirs.field}
    for number in sorted(our_fields.keys() | their_fields.keys()):
        key = (ours.name, number)
        if number not in our_fields:
            if key not in TOLERATED:
                report(f"{path}: ours lacks field {number}, {their_fields[number].name}")
        elif number not in their_fields:
            if key not in NEWER:
                report(f"{path}: field {number}, {our_fields[number].name}, is ours alone")
        else:
            expected = field_facts(their_fields[number])
            for fact, got in field_facts(our_fields[number]).items():
                renamed = fact == "name" and expected[fact] == RENAMED.get(key)
                if got != expected[fact] and not renamed:
                    report(f"{path}: field {number}: {fact} is {got!r}, not {expected[fact]!r}")
    for kind, compare in (("nested_type", compare_message), ("enum_type", compare_enum)):
        nested = {entry.name: entry for entry in getattr(theirs, kind)}
        for entry in getattr(ours, kind):
            if entry.name in nested:
                compare(f"{path}.{entry.name}", entry, nested[entry.name], report)
            else:
                report(f"{path}.{entry.name} is ours alone")


def compare_enum(path, ours, theirs, report):
    got = {value.name: value.number for value in ours.value}
    expected = {value.name: value.number for value in theirs.value}
    for name in sorted(got.keys() | expected.keys()):
        if got.get(name) != expected.get(name):
            report(f"{path}: {name} is {got.get(name)}, not {expected.get(name)}")


def main():
    moving = sys.argv[1] == "--moving"
    with open(sys.argv[-1], "rb") as file:
        descriptors = descriptor_pb2.FileDescriptorSet.FromString(file.read())
    theirs = stock_types()
    differences = []
    compared = 0
    for file in descriptors.file:
        for entry in list(file.message_type) + list(file.enum_type):
            if entry.name not in theirs:
                differences.append(f"{file.name}: {entry.name} is ours alone")
                continue
            other = theirs[entry.name]
            is_message = isinstance(entry, descriptor_pb2.DescriptorProto)
            if type(entry) is not type(other):
                differences.append(f"{file.name}: {entry.name} is an enum here, a message there")
                continue
            compare = compare_message if is_message else compare_enum
            compare(f"{file.name}: {entry.name}", entry, other, differences.append)
            compared += 1
    print("\n".join(differences))
    if moving:
        differences = [text for text in differences if ": ours lacks field " not in text]
    print(f"{compared} messages and enums compared, {len(differences)} differences")
    # An empty set would compare equal to anything.
    return 1 if differences or compared < 50 else 0


if __name__ == "__main__":
    sys.exit(main())
