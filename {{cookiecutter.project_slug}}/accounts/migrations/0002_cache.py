from django.core.management import call_command
from django.db import migrations


def make_table(apps, schema_editor):
    """Make the table of the cache, which all processes and machines share."""
    alias = schema_editor.connection.alias
    call_command("createcachetable", "cache", database=alias, verbosity=0)


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.RunPython(make_table, migrations.RunPython.noop),
    ]
