"""CloudFormation: stacks that call the same domain functions as the APIs.

``intrinsics`` evaluates values, ``graph`` orders resources, ``model`` is what is
kept, ``engine`` brings a stack from one template to the next and back,
``resources`` has a class for each type, ``handlers`` are the API.
"""
